//! Single flows that a fabric spreads over its uplinks by a hash: some meet on one link.

/// Links over which flows are hashed: each of `flows` flows takes one of `links` links at random.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hashed {
    pub(super) flows: u32,
    pub(super) links: u32,
}

/// Expected number of flows on the busiest of all links, at least 1.
///
/// `E[max] = Σₖ (1 − Π P(X < k)^links)` for k from 1 on, with the flows of a link taken as Poisson of
/// mean `flows / links`. Source: balls in bins, Mitzenmacher & Upfal, *Probability and Computing*, 5.2–5.4.
///
/// # Panics
/// If there are flows without links.
pub(super) fn busiest(over: &[Hashed]) -> f64 {
    /// Chance of exactly and of fewer than `k` flows on one of so many links.
    struct Chance {
        mean: f64,
        links: f64,
        exactly: f64,
        fewer: f64,
    }
    let with_flows = over.iter().filter(|it| it.flows > 0);
    let mut chances: Vec<Chance> = with_flows
        .map(|it| {
            assert!(it.links > 0, "flows take one of some links");
            let links = f64::from(it.links);
            let mean = f64::from(it.flows) / links;
            Chance {
                mean,
                links,
                exactly: libm::exp(-mean),
                fewer: 0.0,
            }
        })
        .collect();
    let most = over.iter().map(|it| it.flows).max().unwrap_or(0);
    let mut expected = 0.0;
    for k in 1..=most {
        let mut none = 1.0;
        for chance in &mut chances {
            chance.fewer += chance.exactly;
            chance.exactly *= chance.mean / f64::from(k);
            none *= libm::pow(chance.fewer.min(1.0), chance.links);
        }
        let reached = 1.0 - none;
        expected += reached;
        if reached < 1e-9 {
            break;
        }
    }
    f64::max(expected, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(flows: u32, links: u32) -> f64 {
        busiest(&[Hashed { flows, links }])
    }

    // 8 flows over 32 links, mean 1/4: P(X < 2) = e^(−1/4) · 1.25 = 0.9735, P(X < 3) = 0.99784,
    // P(X < 4) = 0.99987. Of all 32 links: 0.4234, 0.9331, 0.9957; 1 + 0.5766 + 0.0669 + 0.0043 = 1.648.
    #[test]
    fn few_flows_meet_as_often_as_balls_in_bins() {
        assert!((of(8, 32) - 1.648).abs() < 2e-3);
    }

    #[test]
    fn one_flow_is_alone_and_one_link_takes_all() {
        assert!((of(1, 64) - 1.0).abs() < 1e-12);
        // Poisson with mean 20 on one link: its expected value but for the tail beyond 20 flows.
        assert!(of(20, 1) > 18.0 && of(20, 1) <= 20.0);
    }

    #[test]
    fn more_flows_never_meet_less() {
        let loads: Vec<f64> = (1..200).map(|flows| of(flows, 32)).collect();
        assert!(loads.windows(2).all(|pair| pair[0] <= pair[1] + 1e-9));
    }

    // Two leaves are as their links together; a leaf that is hardly used takes nothing from one that is full, where its
    // links among them would spread 33 flows over 64.
    #[test]
    fn a_leaf_that_is_hardly_used_helps_no_other() {
        let full = Hashed {
            flows: 32,
            links: 32,
        };
        assert!((busiest(&[full, full]) - of(64, 64)).abs() < 1e-12);
        let hardly = Hashed {
            flows: 1,
            links: 32,
        };
        assert!(busiest(&[full, hardly]) >= busiest(&[full]));
        assert!(busiest(&[full, hardly]) > of(33, 64) + 0.5);
    }
}
