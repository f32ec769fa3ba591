//! What builds on what: lists on lists, policies on policies.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The nodes of a graph, so ordered that one can be made after another.
#[derive(Debug)]
pub(crate) struct Order {
    /// Every node, behind those that it builds on, circles apart.
    pub(crate) nodes: Vec<usize>,
    /// For every node, how many there are in the longest row that it builds on, itself counted.
    pub(crate) depth: Vec<usize>,
    /// What cannot be made. A node is in one of them at most.
    pub(crate) circles: Vec<Circle>,
}

/// Nodes that all build on one another.
#[derive(Debug)]
pub(crate) struct Circle {
    /// All of them.
    pub(crate) members: Vec<usize>,
    /// The shortest way from the first of them that was seen back to it.
    pub(crate) round: Vec<usize>,
}

/// Orders the nodes `0..on.len()`, where node `n` builds on the nodes `on[n]`, in time and memory
/// of their number and that of the edges: Tarjan's algorithm, which meets a circle when all of it
/// is known.
pub(crate) fn order(on: &[Vec<usize>]) -> Order {
    let mut order = Order { nodes: Vec::new(), depth: vec![1; on.len()], circles: Vec::new() };
    // When a node was seen, from 1, and the first node seen that leads back to itself by it.
    let mut seen = vec![0; on.len()];
    let mut first = vec![0; on.len()];
    // Nodes that were seen, but whose circle is not known yet.
    let mut waiting: Vec<usize> = Vec::new();
    let mut is_waiting = vec![false; on.len()];
    // A stack of its own, because a hostile row is longer than the thread's.
    let mut path: Vec<(usize, usize)> = Vec::new();
    let mut count = 0;
    for root in 0..on.len() {
        if seen[root] == 0 {
            path.push((root, 0));
        }
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            if *next == 0 {
                count += 1;
                (seen[node], first[node]) = (count, count);
                waiting.push(node);
                is_waiting[node] = true;
            }
            let below = on[node].get(*next).copied();
            *next += 1;
            match below {
                Some(below) if seen[below] == 0 => path.push((below, 0)),
                Some(below) if is_waiting[below] => first[node] = first[node].min(seen[below]),
                Some(_) => {}
                None => {
                    let deepest = on[node].iter().map(|below| order.depth[*below]).max();
                    order.depth[node] = 1 + deepest.unwrap_or(0);
                    order.nodes.push(node);
                    path.pop();
                    if let Some((above, _)) = path.last() {
                        first[*above] = first[*above].min(first[node]);
                    }
                    if first[node] == seen[node] {
                        let start = waiting.iter().rposition(|waiting| *waiting == node);
                        let members = waiting.split_off(start.unwrap_or(0));
                        for member in &members {
                            is_waiting[*member] = false;
                        }
                        if members.len() > 1 || on[node].contains(&node) {
                            // No row: those that build on it are wrong because of it.
                            for member in &members {
                                order.depth[*member] = 1;
                            }
                            let round = round(on, &members);
                            order.circles.push(Circle { members, round });
                        }
                    }
                }
            }
        }
    }
    order
}

/// The shortest way from the first of `members` back to it.
fn round(on: &[Vec<usize>], members: &[usize]) -> Vec<usize> {
    let root = members[0];
    let mut from: BTreeMap<usize, usize> = BTreeMap::new();
    let inside: BTreeSet<usize> = members.iter().copied().collect();
    let mut open = VecDeque::from([root]);
    while let Some(node) = open.pop_front()
        && !from.contains_key(&root)
    {
        for below in on[node].iter().filter(|below| inside.contains(below)) {
            from.entry(*below).or_insert_with(|| {
                open.push_back(*below);
                node
            });
        }
    }
    let mut round = vec![root];
    let mut node = from[&root];
    while node != root {
        round.push(node);
        node = from[&node];
    }
    round[1..].reverse();
    round
}

#[cfg(test)]
mod tests {
    use super::order;

    /// The shortest way round every circle, and all that is in it.
    fn circles(on: &[Vec<usize>]) -> Vec<(Vec<usize>, Vec<usize>)> {
        let circles = order(on).circles.into_iter();
        circles.map(|circle| (circle.round, circle.members)).collect()
    }

    #[test]
    fn a_node_comes_behind_what_it_builds_on() {
        let found = order(&[vec![1, 2], vec![2], vec![]]);
        assert_eq!(found.nodes, [2, 1, 0]);
        assert_eq!(found.depth, [3, 2, 1]);
        assert!(found.circles.is_empty());
    }

    #[test]
    fn every_circle_is_found_once() {
        let one = |nodes: &[usize]| (nodes.to_vec(), nodes.to_vec());
        assert_eq!(circles(&[vec![0]]), [one(&[0])]);
        assert_eq!(circles(&[vec![1], vec![2], vec![1]]), [one(&[1, 2])]);
        let two = circles(&[vec![1], vec![0], vec![3, 0], vec![2]]);
        assert_eq!(two, [one(&[0, 1]), one(&[2, 3])]);
    }

    #[test]
    fn circles_that_share_a_node_are_one() {
        let found = circles(&[vec![1], vec![2], vec![3, 1], vec![0]]);
        assert_eq!(found, [(vec![0, 1, 2, 3], vec![0, 1, 2, 3])]);
        let found = circles(&[vec![1, 2], vec![2], vec![0]]);
        assert_eq!(found, [(vec![0, 2], vec![0, 1, 2])]);
    }

    #[test]
    fn a_long_row_does_not_overflow() {
        let row: Vec<_> =
            (1..=100_000).map(|n| if n < 100_000 { vec![n] } else { vec![] }).collect();
        assert_eq!(order(&row).depth[0], 100_000);
    }

    #[test]
    fn many_ways_back_are_one_circle() {
        let count = 100_000;
        let nested: Vec<_> = (0..count).map(|n| vec![(n + 1) % count, n / 2, 0]).collect();
        let found = order(&nested).circles;
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].members.len(), &found[0].round[..]), (count, &[0][..]));
    }
}
