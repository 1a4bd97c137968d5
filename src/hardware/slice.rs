//! Chips of a job in a torus, and the links that a group of them has there.
//!
//! A group of a parallel dimension is laid along dimensions of the torus as JAX does it (`mesh_utils.create_device_mesh`):
//! the groups whose ranks are next to one another first, whole dimensions before parts of them. It has the links of these
//! dimensions alone, two of a chip where its line closes to a ring, else one (jax-ml/scaling-book tpus.md, sharding.md).

use crate::divisors::divisors;

/// Most dimensions of a torus.
const MOST: usize = 3;

/// Chips along each dimension.
type Sides = [u32; MOST];

/// Wiring of a torus of chips.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Torus {
    /// Its dimensions, 1 to 3.
    pub dimensions: u32,
    /// Chips along each side of the smallest one.
    pub side: Option<u32>,
    /// Whether switches close it, around whole blocks with such sides alone.
    pub switched: bool,
}

/// A box of chips, cut out of a torus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    dimensions: usize,
    sides: Sides,
    /// Dimensions in which it is a ring.
    closed: [bool; MOST],
}

impl Torus {
    /// The slice of so many chips: of whole blocks where it has enough for them, as cubic as it can be.
    pub(crate) fn slice(self, chips: u32) -> Slice {
        let dimensions = (self.dimensions as usize).clamp(1, MOST);
        let side = self.side.unwrap_or(u32::MAX);
        let block = side.checked_pow(dimensions as u32);
        let blocks = block.filter(|block| chips.is_multiple_of(*block));
        let mut sides = most_cubic(chips / blocks.unwrap_or(1), dimensions);
        if blocks.is_some() {
            for along in &mut sides[..dimensions] {
                *along *= side;
            }
        }
        let closed = if self.switched {
            [blocks.is_some(); MOST]
        } else {
            sides.map(|chips| chips.is_multiple_of(side))
        };
        Slice {
            dimensions,
            sides,
            closed,
        }
    }
}

/// The sides of a box of so many chips whose sum is least, the longest first.
fn most_cubic(chips: u32, dimensions: usize) -> Sides {
    let factors = boxes(chips, [chips; MOST]);
    let flat = factors.filter(|sides| sides[dimensions..].iter().all(|side| *side == 1));
    flat.min_by_key(|sides| (sides.iter().sum::<u32>(), sides.map(std::cmp::Reverse)))
        .unwrap_or([chips, 1, 1])
}

/// Boxes of so many chips, each of whose sides divides that of another box.
fn boxes(chips: u32, inside: Sides) -> impl Iterator<Item = Sides> {
    let sides = move |longest: u32| {
        let sides = divisors(longest).into_iter();
        sides.filter(move |side| chips.is_multiple_of(*side))
    };
    sides(inside[0]).flat_map(move |a| {
        let second = sides(inside[1]).filter(move |b| (chips / a).is_multiple_of(*b));
        second
            .map(move |b| [a, b, chips / a / b])
            .filter(move |[_, _, c]| inside[2].is_multiple_of(*c))
    })
}

impl Slice {
    /// Its dimensions, as a real number.
    pub(crate) fn dimensions(&self) -> f64 {
        self.dimensions as f64
    }

    /// What groups of `size` chips span, of which one chip is `stride` chips behind another; those in between are laid out
    /// before.
    pub(crate) fn span(&self, size: u32, stride: u32) -> Span {
        let whole = [1; MOST];
        let placed = self.place(stride, whole).and_then(|inner| {
            let outer = self.place(size, inner)?;
            Some((inner, outer))
        });
        // Where no box of the slice has as many chips a ring runs through it over a link each way.
        let Some((inner, outer)) = placed else {
            return Span {
                lines: [(size, 1.0), (1, 0.0), (1, 0.0)],
            };
        };
        let line = |dimension: usize| {
            let (step, chips) = (inner[dimension], outer[dimension]);
            let is_ring = self.closed[dimension] && step * chips == self.sides[dimension];
            let links = match (chips, is_ring) {
                (1, _) => 0.0,
                (_, true) => 2.0,
                (_, false) => 1.0,
            };
            // Groups between the chips of this one send over the same links.
            (chips, links / f64::from(step))
        };
        Span {
            lines: [line(0), line(1), line(2)],
        }
    }

    /// Chips along each dimension of a group of `size` beside what is taken of the dimensions: whole dimensions first, as
    /// many as can be, then those of which least is taken.
    fn place(&self, size: u32, taken: Sides) -> Option<Sides> {
        let mut free = self.sides;
        for (free, taken) in free.iter_mut().zip(taken) {
            *free /= taken;
        }
        let preferred = |sides: &Sides| {
            let parts = || sides.iter().zip(self.sides).zip(taken);
            let whole = || parts().filter(|((part, side), _)| *part == side && **part > 1);
            let length: u32 = whole().map(|((part, _), _)| *part).product();
            let shared: u32 = parts()
                .filter(|(_, taken)| *taken > 1)
                .map(|((part, _), _)| *part)
                .product();
            (length, whole().count(), std::cmp::Reverse(shared), *sides)
        };
        boxes(size, free).max_by_key(preferred)
    }
}

/// Lines of a slice along which a group lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    /// Chips of the group along each dimension, and links of a chip that they have there, its share of those that other
    /// groups send over too.
    lines: [(u32, f64); MOST],
}

impl Span {
    fn used(&self) -> impl Iterator<Item = (u32, f64)> + '_ {
        self.lines.iter().copied().filter(|(chips, _)| *chips > 1)
    }

    /// Dimensions that it spans, as a real number.
    pub(crate) fn dimensions(&self) -> f64 {
        self.used().count() as f64
    }

    /// Links of a chip over which rings along all dimensions at once pass a buffer on.
    pub(crate) fn ring_links(&self) -> f64 {
        self.used().map(|(_, links)| links).sum()
    }

    /// Links that would carry an exchange of all with all as fast if every two chips were joined.
    ///
    /// Half of a line of `g` chips sends to the other half over one link: `g²/4` shares of a buffer of `g` each way, half of
    /// them on each link of a ring. The narrowest dimension holds the others up.
    pub(crate) fn exchange_links(&self) -> f64 {
        let chips: f64 = self.used().map(|(chips, _)| f64::from(chips)).product();
        let slowest = self.used().map(|(chips, links)| {
            let (near, far) = (chips / 2, chips.div_ceil(2));
            f64::from(near) * f64::from(far) / f64::from(chips) / links
        });
        let slowest = slowest.fold(0.0, f64::max);
        (chips - 1.0) / chips / slowest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TPU v5p: cubes of 4 × 4 × 4 that optical switches join and close.
    const CUBES: Torus = Torus {
        dimensions: 3,
        side: Some(4),
        switched: true,
    };

    /// TPU v6e: a torus of 16 × 16, of which parts are rented.
    const PLANE: Torus = Torus {
        dimensions: 2,
        side: Some(16),
        switched: false,
    };

    // Shapes and rings by jax-ml/scaling-book tpus.md: rings on multiples of a whole 4 × 4 × 4 alone, none in 2 × 2 × 4; on
    // two dimensions a side of 16 has one, also in 8 × 16. Three cubes make 4 × 4 × 12, not 4 × 6 × 8.
    #[test]
    fn slices_are_closed_around_whole_cubes_and_whole_sides() {
        let of = |torus: Torus, chips| {
            let slice = torus.slice(chips);
            (slice.sides, slice.closed.map(u8::from))
        };
        assert_eq!(of(CUBES, 4), ([2, 2, 1], [0; 3]));
        assert_eq!(of(CUBES, 16), ([4, 2, 2], [0; 3]));
        assert_eq!(of(CUBES, 64), ([4, 4, 4], [1; 3]));
        assert_eq!(of(CUBES, 128), ([8, 4, 4], [1; 3]));
        assert_eq!(of(CUBES, 192), ([12, 4, 4], [1; 3]));
        assert_eq!(of(CUBES, 512), ([8, 8, 8], [1; 3]));
        assert_eq!(of(PLANE, 8), ([4, 2, 1], [0; 3]));
        assert_eq!(of(PLANE, 128), ([16, 8, 1], [1, 0, 0]));
        assert_eq!(of(PLANE, 256), ([16, 16, 1], [1, 1, 0]));
        assert_eq!(of(CUBES, 7), ([7, 1, 1], [0; 3]));
    }

    // 4 × 4 × 4. Tensor parallelism over 4 is one ring, two of six links, and the other 16 chips two rings, four links. Over
    // 8 it takes a whole ring and half of another, a line with one link; the 8 groups of those halves send over the other
    // half's links too, each half a ring's, beside the whole third ring. All 64 have six links. 2 × 2 × 2: three lines.
    #[test]
    fn a_group_has_the_links_of_its_dimensions() {
        let slice = CUBES.slice(64);
        let links = |size, stride| slice.span(size, stride).ring_links();
        let expected = [
            (4, 1, 2.0),
            (16, 4, 4.0),
            (8, 1, 3.0),
            (8, 8, 3.0),
            (64, 1, 6.0),
        ];
        for (size, stride, expected) in expected {
            assert!(
                (links(size, stride) - expected).abs() < 1e-12,
                "{size} {stride}"
            );
        }
        assert!((CUBES.slice(8).span(8, 1).ring_links() - 3.0).abs() < 1e-12);
        // 8 × 8 × 8: a group of 8 is one ring.
        let large = CUBES.slice(512);
        assert!((large.span(8, 1).ring_links() - 2.0).abs() < 1e-12);
        assert!((large.span(64, 8).dimensions() - 2.0).abs() < 1e-12);
    }

    // Of a ring of 4 each chip sends a quarter of its buffer to each other: every link carries half a buffer (its neighbour's
    // share and half of two that pass), which three quarters over 1.5 links take as long. A line of 2 sends half over a link.
    // 8 × 8 × 8 chips: each link carries a whole buffer, so that 511/512 of it go at the rate of one.
    #[test]
    fn an_exchange_is_as_slow_as_the_middle_of_a_line() {
        let links = |chips, size| CUBES.slice(chips).span(size, 1).exchange_links();
        assert!((links(64, 4) - 1.5).abs() < 1e-12);
        assert!((links(2, 2) - 1.0).abs() < 1e-12);
        assert!((links(512, 512) - 511.0 / 512.0).abs() < 1e-12);
    }

    // Boxes of 6 chips are none of a slice of 4 × 4 × 4.
    #[test]
    fn a_group_that_fits_no_box_has_one_link() {
        let span = CUBES.slice(64).span(6, 1);
        assert!((span.ring_links() - 1.0).abs() < 1e-12);
    }
}
