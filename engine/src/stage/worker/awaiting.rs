//! Pairs that go on when Linux knows more.

/// Indices of pairs, each once at most.
///
/// A pair that ends stays in here, and so its index may have become another's: who is told that Linux knows
/// more looks once for nothing. To take it out would be a walk over all that wait, for each that ends; and
/// while an origin's neighbour does not answer, all that wait end at about the same time.
#[derive(Debug)]
pub(super) struct Awaiting {
    indices: Vec<u32>,
    /// By index.
    is_in: Box<[bool]>,
}

impl Awaiting {
    /// For so many pairs. Takes all memory that it will ever need.
    pub(super) fn new(pairs: usize) -> Self {
        Awaiting { indices: Vec::with_capacity(pairs), is_in: vec![false; pairs].into() }
    }

    pub(super) fn push(&mut self, index: u32) {
        if let Some(is_in) = self.is_in.get_mut(index as usize)
            && !*is_in
        {
            *is_in = true;
            self.indices.push(index);
        }
    }

    pub(super) fn pop(&mut self) -> Option<u32> {
        let index = self.indices.pop()?;
        self.is_in[index as usize] = false;
        Some(index)
    }
}
