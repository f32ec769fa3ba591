//! What builds on what: lists on lists, policies on policies.

/// The nodes of a graph, so ordered that one can be made after another.
#[derive(Debug)]
pub(crate) struct Order {
    /// Every node, behind those that it builds on, cycles apart.
    pub(crate) nodes: Vec<usize>,
    /// For every node, how many there are in the longest row that it builds on, itself counted.
    pub(crate) depth: Vec<usize>,
    /// The cycles that were found, each from one node back to it.
    pub(crate) cycles: Vec<Vec<usize>>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    Open,
    Done,
}

/// Orders the nodes `0..on.len()`, where node `n` builds on the nodes `on[n]`.
pub(crate) fn order(on: &[Vec<usize>]) -> Order {
    let mut state = vec![State::New; on.len()];
    let mut order = Order { nodes: Vec::new(), depth: vec![1; on.len()], cycles: Vec::new() };
    // A stack of its own, because a hostile row is longer than the thread's.
    let mut path: Vec<(usize, usize)> = Vec::new();
    for root in 0..on.len() {
        if state[root] == State::New {
            state[root] = State::Open;
            path.push((root, 0));
        }
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            let Some(&below) = on[node].get(*next) else {
                let deepest = on[node].iter().map(|below| order.depth[*below]).max();
                order.depth[node] = 1 + deepest.unwrap_or(0);
                order.nodes.push(node);
                state[node] = State::Done;
                path.pop();
                continue;
            };
            *next += 1;
            match state[below] {
                State::Done => {}
                State::New => {
                    state[below] = State::Open;
                    path.push((below, 0));
                }
                State::Open => {
                    let from = path.iter().position(|(node, _)| *node == below).unwrap_or(0);
                    order.cycles.push(path[from..].iter().map(|(node, _)| *node).collect());
                }
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::order;

    #[test]
    fn a_node_comes_behind_what_it_builds_on() {
        let found = order(&[vec![1, 2], vec![2], vec![]]);
        assert_eq!(found.nodes, [2, 1, 0]);
        assert_eq!(found.depth, [3, 2, 1]);
        assert!(found.cycles.is_empty());
    }

    #[test]
    fn every_cycle_is_found_once() {
        assert_eq!(order(&[vec![0]]).cycles, [[0]]);
        assert_eq!(order(&[vec![1], vec![2], vec![1]]).cycles, [[1, 2]]);
        assert_eq!(order(&[vec![1], vec![0], vec![3], vec![2]]).cycles, [[0, 1], [2, 3]]);
    }

    #[test]
    fn a_long_row_does_not_overflow() {
        let row: Vec<_> =
            (1..=100_000).map(|n| if n < 100_000 { vec![n] } else { vec![] }).collect();
        assert_eq!(order(&row).depth[0], 100_000);
    }
}
