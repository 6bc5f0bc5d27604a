//! Values by position, of which there are few.

/// One value for each position. The first `N` take no memory of their own, and writing
/// them is all there is to it: whoever reads knows how many were written.
#[derive(Debug)]
pub(super) struct Few<T, const N: usize> {
    first: [T; N],
    more: Vec<T>,
}

impl<T: Copy + Default, const N: usize> Default for Few<T, N> {
    fn default() -> Self {
        Self { first: [T::default(); N], more: Vec::new() }
    }
}

impl<T: Copy + Default, const N: usize> Few<T, N> {
    /// Writes a value. Positions are written in order.
    #[inline]
    pub(super) fn set(&mut self, position: usize, value: T) {
        match self.first.get_mut(position) {
            Some(place) => *place = value,
            None => self.set_more(position - N, value),
        }
    }

    #[cold]
    fn set_more(&mut self, position: usize, value: T) {
        self.more.truncate(position);
        self.more.push(value);
    }

    /// A value that was written.
    #[inline]
    pub(super) fn get(&self, position: usize) -> T {
        match self.first.get(position) {
            Some(value) => *value,
            None => self.more.get(position - N).copied().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_last_is_read_also_where_there_are_many() {
        let mut few = Few::<u32, 2>::default();
        for round in [0, 100, 200] {
            let many = if round == 100 { 3 } else { 6 };
            (0..many).for_each(|position| few.set(position, round + position as u32));
            for position in 0..many {
                assert_eq!(few.get(position), round + position as u32);
            }
        }
    }
}
