//! Pointers that a client hands through libva, made safe to use.

use std::ffi::c_void;

use libva_sys as va;

use crate::error::{Error, Result};

/// A pointer argument of an entry point: null, or valid for what the VA API says about it. Reads and
/// writes do not assume alignment. The entry macro makes these; nothing else can.
#[derive(Debug)]
pub(crate) struct Foreign<T>(*mut T);

impl<T> Clone for Foreign<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Foreign<T> {}

/// How an argument of a C entry point becomes one that safe code can use.
pub(crate) trait Argument {
    type Safe;

    /// # Safety
    /// A pointer must be null or, until the entry point returns, valid for the reads and writes that the
    /// VA API describes for that argument.
    unsafe fn into_safe(self) -> Self::Safe;
}

impl<T> Argument for *mut T {
    type Safe = Foreign<T>;

    unsafe fn into_safe(self) -> Foreign<T> {
        Foreign(self)
    }
}

macro_rules! by_value {
    ($($ty:ty),*) => {$(
        impl Argument for $ty {
            type Safe = $ty;

            unsafe fn into_safe(self) -> $ty {
                self
            }
        }
    )*};
}
by_value!(i16, u16, i32, u32, u64, f32, libva_sys::VACopyOption);

impl<T> Foreign<T> {
    /// A pointer that a client has stored in a struct.
    ///
    /// # Safety
    /// As for [`Argument::into_safe`].
    pub(crate) unsafe fn of_field(pointer: *mut T) -> Foreign<T> {
        Foreign(pointer)
    }

    /// The element `index` of an array.
    pub(crate) fn element(self, index: usize) -> Foreign<T> {
        Foreign(self.0.wrapping_add(index))
    }

    /// The pointer as one to `U`: for entry points whose argument is `void *`, and for structs that begin
    /// alike.
    pub(crate) fn cast<U>(self) -> Foreign<U> {
        Foreign(self.0.cast())
    }

    pub(crate) fn is_null(self) -> bool {
        self.0.is_null()
    }

    pub(crate) fn address(self) -> *mut T {
        self.0
    }

    fn checked(self) -> Result<*mut T> {
        if self.0.is_null() {
            return Err(Error::InvalidParameter("a null pointer".into()));
        }
        Ok(self.0)
    }

    /// Stores an output value; `InvalidParameter` for null.
    pub(crate) fn write(self, value: T) -> Result<()> {
        let to = self.checked()?;
        // SAFETY: not null, so valid for writing one T by `Argument::into_safe`'s promise.
        unsafe { to.write_unaligned(value) };
        Ok(())
    }

    /// Stores an output array, whose size the caller of the entry point is bound to provide.
    pub(crate) fn write_all(self, values: impl IntoIterator<Item = T>) -> Result<()> {
        let to = self.checked()?;
        for (i, value) in values.into_iter().enumerate() {
            // SAFETY: as in `write`; the VA API requires room for all values of this call.
            unsafe { to.add(i).write_unaligned(value) };
        }
        Ok(())
    }
}

impl Foreign<c_void> {
    /// The pointer in a surface attribute.
    pub(crate) fn of_attribute(attribute: &va::VASurfaceAttrib) -> Result<Foreign<c_void>> {
        if attribute.value.type_ != va::VAGenericValueTypePointer {
            return Err(Error::InvalidParameter(format!(
                "surface attribute {} is not a pointer",
                attribute.type_
            )));
        }
        // SAFETY: the type tag says that the union holds a pointer, for which the VA API asks what it asks for
        // arguments.
        Ok(unsafe { Foreign::of_field(attribute.value.value.p) })
    }
}

impl<T: Copy> Foreign<T> {
    /// Reads an input value; `InvalidParameter` for null.
    pub(crate) fn read(self) -> Result<T> {
        let from = self.checked()?;
        // SAFETY: not null, so valid for reading one T by `Argument::into_safe`'s promise.
        Ok(unsafe { from.read_unaligned() })
    }

    /// Reads an input array of `count` elements; null is fine only for none. A negative count is an
    /// `InvalidParameter`.
    pub(crate) fn read_all(self, count: impl TryInto<usize>) -> Result<Vec<T>> {
        let count = count
            .try_into()
            .map_err(|_| Error::InvalidParameter("a negative number of elements".into()))?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let from = self.checked()?;
        // SAFETY: not null; the VA API requires `count` valid elements.
        Ok((0..count).map(|i| unsafe { from.add(i).read_unaligned() }).collect())
    }
}

impl Foreign<c_void> {
    /// Copies `length` bytes from the client.
    pub(crate) fn copy_to(self, to: &mut [u8]) -> Result<()> {
        let from = self.checked()?;
        // SAFETY: not null; the VA API requires `to.len()` readable bytes, and `to` is ours alone.
        unsafe { from.cast::<u8>().copy_to_nonoverlapping(to.as_mut_ptr(), to.len()) };
        Ok(())
    }
}
