//! How values are read from a fuzzer's bytes, and how seeds write them.
//!
//! Nothing is ever malformed: what is missing is zero. So each mutation means something.

/// Bytes that are read from the front.
#[derive(Clone, Debug)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// All of `bytes` are to be read.
    pub fn new(bytes: &'a [u8]) -> Self {
        Input(bytes)
    }

    /// Everything has been read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut value = [0; N];
        let bytes = self.bytes(N);
        value[..bytes.len()].copy_from_slice(bytes);
        value
    }

    /// One byte.
    pub fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.array())
    }

    /// Two bytes, the lower one first.
    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    /// Four bytes, the lowest one first.
    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    /// One of `choices`, of which there is at least one.
    pub fn choice<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.u8()) % choices.len()]
    }

    /// So many bytes, or what is left.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// Bytes behind their number, which has two bytes.
    pub fn block(&mut self) -> &'a [u8] {
        let length = self.u16();
        self.bytes(length.into())
    }

    /// A block with zeros behind it, or cut off, so that it has `size` bytes.
    pub fn padded(&mut self, size: usize) -> Vec<u8> {
        let mut bytes = self.block().to_vec();
        bytes.resize(size, 0);
        bytes
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

/// Writes what [`Input`] reads.
#[derive(Clone, Debug, Default)]
pub struct Output(pub Vec<u8>);

impl Output {
    /// Read by [`Input::u8`].
    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    /// Read by [`Input::u16`].
    pub fn u16(&mut self, value: u16) {
        self.0.extend(value.to_le_bytes());
    }

    /// Read by [`Input::u32`].
    pub fn u32(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    /// Read by [`Input::block`]; what is too long is cut off.
    pub fn block(&mut self, bytes: &[u8]) {
        let bytes = &bytes[..bytes.len().min(u16::MAX.into())];
        self.u16(bytes.len() as u16);
        self.0.extend(bytes);
    }

    /// Read by [`Input::padded`]: without the zeros at the end.
    pub fn padded(&mut self, bytes: &[u8]) {
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        self.block(&bytes[..end]);
    }
}
