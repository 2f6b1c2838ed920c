//! Display attributes: there are none.

use libva_sys as va;

use super::entries;
use crate::error::Error;

entries! {
    /// Lists no attribute.
    fn vaQueryDisplayAttributes(
        _driver,
        _attr_list: *mut va::VADisplayAttribute,
        num_attributes: *mut i32,
    ) {
        num_attributes.write(0)
    }

    /// Marks every attribute that is asked for as not supported, as VA has it.
    fn vaGetDisplayAttributes(
        _driver,
        attr_list: *mut va::VADisplayAttribute,
        num_attributes: i32,
    ) {
        let mut attributes = attr_list.read_all(num_attributes)?;
        if attributes.is_empty() {
            return Ok(());
        }
        for attribute in &mut attributes {
            attribute.flags = va::VA_DISPLAY_ATTRIB_NOT_SUPPORTED;
        }
        attr_list.write_all(attributes)
    }

    /// There is nothing to set.
    fn vaSetDisplayAttributes(
        _driver,
        attr_list: *mut va::VADisplayAttribute,
        num_attributes: i32,
    ) {
        match attr_list.read_all(num_attributes)?.first() {
            None => Ok(()),
            Some(first) => {
                Err(Error::UnsupportedAttribute(format!("display attribute {}", first.type_)))
            }
        }
    }
}
