//! Rings, meshes and tori: devices joined to their neighbours, without switches.
//!
//! A device's NICs are shared out evenly among its ports. Routing is dimension order; on a wrapped
//! dimension the shorter direction, and both by half where they are equally long.

use super::exchange::pairs;
use super::graph::Graph;
use crate::halt;

/// A grid of up to three dimensions, the first varying fastest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) sizes: Vec<u32>,
    pub(super) wraps: bool,
}

impl Grid {
    /// The most cubic grid of `dimensions` that holds exactly `devices`, each side at least 2;
    /// `None` when there is none.
    pub(super) fn most_cubic(devices: u32, dimensions: u32, wraps: bool) -> Option<Self> {
        let sizes = split(devices, dimensions)?;
        Some(Self { sizes, wraps })
    }

    fn devices(&self) -> u32 {
        self.sizes.iter().product()
    }

    fn strides(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.sizes.iter().scan(1, |stride, &size| {
            let here = *stride;
            *stride *= size;
            Some((here, size))
        })
    }

    /// Place of the link from `device` in `dimension`, backwards or forwards.
    fn place(&self, device: u32, dimension: u32, forwards: bool) -> u32 {
        (device * self.sizes.len() as u32 + dimension) * 2 + u32::from(forwards)
    }

    /// Every device has a link in each direction of each dimension; at the border of a mesh, and twice
    /// over in a ring of two, such a link is unused and leads to the device itself.
    pub(super) fn graph(&self) -> Graph {
        let ports = 2.0 * self.sizes.len() as f64;
        let mut graph = Graph::new(self.devices(), 0);
        for device in 0..self.devices() {
            for (stride, size) in self.strides() {
                let at = device / stride % size;
                let back = if at > 0 {
                    device - stride
                } else if self.wraps {
                    device + (size - 1) * stride
                } else {
                    device
                };
                let on = if at + 1 < size {
                    device + stride
                } else if self.wraps {
                    device - (size - 1) * stride
                } else {
                    device
                };
                graph.connect(device, back, 1.0 / ports);
                graph.connect(device, on, 1.0 / ports);
            }
        }
        graph
    }

    /// Links of the route between two devices; the mean of both directions is as long.
    pub(super) fn distance(&self, from: u32, to: u32) -> u32 {
        let along = |(stride, size): (u32, u32)| {
            let (at, goal) = (from / stride % size, to / stride % size);
            let straight = at.abs_diff(goal);
            if self.wraps {
                straight.min(size - straight)
            } else {
                straight
            }
        };
        self.strides().map(along).sum()
    }

    /// A device that none is farther from the first than.
    pub(super) fn farthest(&self) -> u32 {
        let place = |size: u32| if self.wraps { size / 2 } else { size - 1 };
        self.strides()
            .map(|(stride, size)| place(size) * stride)
            .sum()
    }

    /// Adds the loads of an exchange between members.
    pub(super) fn exchange(&self, members: &[u32], loads: &mut [f64]) {
        if members.len() == self.devices() as usize {
            self.exchange_of_all(loads);
            return;
        }
        for (from, to, amount) in pairs(members) {
            halt::check();
            self.route(from, to, &mut |link, share| {
                loads[link as usize] += amount * share;
            });
        }
    }

    /// Adds the loads of an exchange between all devices.
    ///
    /// In a dimension of `k` places each line carries the traffic between every two places `n/k` times, from whichever
    /// place of the dimensions before to whichever of those behind.
    fn exchange_of_all(&self, loads: &mut [f64]) {
        let devices = self.devices();
        for ((stride, size), dimension) in self.strides().zip(0..) {
            let pairs = f64::from(devices / size) / f64::from(devices - 1);
            for device in 0..devices {
                let at = device / stride % size;
                for onwards in [false, true] {
                    let place = self.place(device, dimension, onwards);
                    loads[place as usize] += pairs * self.crossed(size, at, onwards);
                }
            }
        }
    }

    /// Pairs of places on a line of `size` between which the link from place `at` lies. On a wrapped one each distance below
    /// the half crosses it from as many places, and the half in either direction by half.
    fn crossed(&self, size: u32, at: u32, onwards: bool) -> f64 {
        let (at, size) = (f64::from(at), size);
        let whole = f64::from(size);
        if !self.wraps {
            return if onwards {
                (at + 1.0) * (whole - at - 1.0)
            } else {
                at * (whole - at)
            };
        }
        let below_half = f64::from((size - 1) / 2);
        let half = if size.is_multiple_of(2) {
            whole / 4.0
        } else {
            0.0
        };
        below_half * (below_half + 1.0) / 2.0 + half
    }

    /// Route in dimension order.
    pub(super) fn route(&self, from: u32, to: u32, take: &mut dyn FnMut(u32, f64)) {
        let mut device = from;
        for ((stride, size), dimension) in self.strides().zip(0..) {
            let (at, goal) = (device / stride % size, to / stride % size);
            let forwards = (goal + size - at) % size;
            let backwards = size - forwards;
            let directions: &[(bool, f64)] = if forwards == 0 {
                &[]
            } else if !self.wraps {
                if goal > at {
                    &[(true, 1.0)]
                } else {
                    &[(false, 1.0)]
                }
            } else if forwards < backwards {
                &[(true, 1.0)]
            } else if backwards < forwards {
                &[(false, 1.0)]
            } else {
                &[(true, 0.5), (false, 0.5)]
            };
            let row = device - at * stride;
            for &(onwards, share) in directions {
                let mut place = at;
                while place != goal {
                    take(self.place(row + place * stride, dimension, onwards), share);
                    place = if onwards {
                        (place + 1) % size
                    } else {
                        (place + size - 1) % size
                    };
                }
            }
            device = row + goal * stride;
        }
    }
}

/// The factors of `devices` nearest to each other, each at least 2, largest first.
fn split(devices: u32, dimensions: u32) -> Option<Vec<u32>> {
    if dimensions == 1 {
        return (devices >= 2).then(|| vec![devices]);
    }
    let root = libm::pow(f64::from(devices), 1.0 / f64::from(dimensions));
    let mut side = libm::round(root + 1e-9) as u32;
    while side > 1 && libm::pow(f64::from(side), f64::from(dimensions)) > f64::from(devices) + 0.5 {
        side -= 1;
    }
    while side >= 2 {
        if devices.is_multiple_of(side)
            && let Some(mut rest) = split(devices / side, dimensions - 1)
        {
            rest.push(side);
            return Some(rest);
        }
        side -= 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    // 64 = 4·4·4 = 8·8; 60 = 5·4·3 (4 does not leave a fifth …): 60 / 3 = 20 = 5·4. 7 is prime.
    #[test]
    fn a_grid_is_as_cubic_as_its_devices_allow() {
        let sizes = |n, d| Grid::most_cubic(n, d, true).map(|grid| grid.sizes);
        assert_eq!(sizes(64, 3), Some(vec![4, 4, 4]));
        assert_eq!(sizes(64, 2), Some(vec![8, 8]));
        assert_eq!(sizes(60, 3), Some(vec![5, 4, 3]));
        assert_eq!(sizes(7, 2), None);
    }
}
