//! A reader of the descriptors of section 4.10, for tests.

/// Reads bits, most significant first.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    pub(super) fn f(&mut self, n: u32) -> u32 {
        let mut value = 0;
        for _ in 0..n {
            let bit = self.bytes[self.at / 8] >> (7 - self.at % 8) & 1;
            value = value << 1 | u32::from(bit);
            self.at += 1;
        }
        value
    }

    pub(super) fn ns(&mut self, n: u32) -> u32 {
        let mut w = 0;
        let mut x = n;
        while x != 0 {
            x >>= 1;
            w += 1;
        }
        let m = (1 << w) - n;
        let v = self.f(w - 1);
        if v < m { v } else { (v << 1) - m + self.f(1) }
    }
}
