//! Field by field: what the driver sent against what another parser expects.

use std::fmt::Debug;

/// One field that is not what was expected.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The number of the request in its stream, from 0.
    pub request: usize,
    /// `codec.control.field`; one bit of a flags field is a field.
    pub field: String,
    pub expected: String,
    pub got: String,
}

/// The differences of one stream, and how much was compared.
#[derive(Debug, Default)]
pub struct Comparison {
    /// The request that is being compared.
    pub request: usize,
    /// Fields compared in all requests.
    pub fields: usize,
    pub differences: Vec<Difference>,
}

impl Comparison {
    /// Compares one field.
    pub fn field<T: PartialEq + Debug + ?Sized>(&mut self, field: &str, expected: &T, got: &T) {
        self.fields += 1;
        if expected != got {
            let (expected, got) = apart(&format!("{expected:?}"), &format!("{got:?}"));
            let field = field.to_owned();
            self.differences.push(Difference { request: self.request, field, expected, got });
        }
    }

    /// Compares a flags field bit by bit; bits without a name must be the same, too.
    pub fn flags<F: Copy + Into<u64>>(
        &mut self,
        field: &str,
        names: &[(&str, F)],
        expected: F,
        got: F,
    ) {
        let (expected, got) = (expected.into(), got.into());
        let mut rest = u64::MAX;
        for (name, bit) in names {
            let bit = (*bit).into();
            rest &= !bit;
            self.field(&format!("{field}.{name}"), &(expected & bit != 0), &(got & bit != 0));
        }
        self.field(&format!("{field}.others"), &(expected & rest), &(got & rest));
    }
}

/// Compares fields of a struct under the name of the control. The second list names those that are
/// compared in another way: a field that is in neither does not compile.
macro_rules! fields {
    (
        $comparison:expr, $control:expr, $struct:path { $($field:ident),* $(,)? },
        elsewhere { $($elsewhere:ident),* $(,)? }, $expected:expr, $got:expr
    ) => {{
        let $struct { $($field: _,)* $($elsewhere: _,)* } = $expected;
        $($comparison.field(
            &format!("{}.{}", $control, stringify!($field)),
            &$expected.$field,
            &$got.$field,
        );)*
    }};
}
pub(crate) use fields;

/// Two texts, cut down to where they begin to differ.
fn apart(expected: &str, got: &str) -> (String, String) {
    const BEFORE: usize = 20;
    const LENGTH: usize = 100;
    let same = expected.chars().zip(got.chars()).take_while(|(a, b)| a == b).count();
    let cut = |text: &str| {
        if text.chars().count() <= LENGTH {
            return text.to_owned();
        }
        let start = same.saturating_sub(BEFORE);
        let part: String = text.chars().skip(start).take(LENGTH).collect();
        format!("(from character {start}) {part}")
    };
    (cut(expected), cut(got))
}
