//! Runs of two things in turn, so that what disturbs the machine disturbs both.

use std::io::{IsTerminal, Write};

/// Does `a` and `b` `count` times, by turns in both orders: A B, B A, A B ... `what` is told to people.
pub fn run<A, B>(
    what: &str,
    count: usize,
    mut a: impl FnMut() -> Result<A, String>,
    mut b: impl FnMut() -> Result<B, String>,
) -> Result<Vec<(A, B)>, String> {
    let mut pairs = Vec::new();
    for number in 0..count {
        progress(what, number + 1, count);
        let pair = if number % 2 == 0 {
            let first = a()?;
            (first, b()?)
        } else {
            let first = b()?;
            (a()?, first)
        };
        pairs.push(pair);
    }
    Ok(pairs)
}

/// Says how far a row is: on a terminal, in its last line; else where a row begins.
pub fn progress(what: &str, number: usize, count: usize) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[Kx: {what}: {number} of {count}");
        // Cosmetic: a terminal that is gone gets no progress.
        let _ = std::io::stderr().flush();
    } else if number == 1 {
        eprintln!("x: {what}");
    }
}

/// Ends the line that [`progress`] has begun.
pub fn done(result: &str) {
    if std::io::stderr().is_terminal() {
        eprintln!(": {result}");
    } else {
        eprintln!("x:     {result}");
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    #[test]
    fn turns_are_taken_in_both_orders() {
        let order = RefCell::new(String::new());
        let say = |what| {
            order.borrow_mut().push(what);
            Ok(order.borrow().len())
        };
        let pairs = super::run("a test", 3, || say('a'), || say('b')).unwrap();
        assert_eq!(order.borrow().as_str(), "abbaab");
        assert_eq!(pairs, [(1, 2), (4, 3), (5, 6)]);
    }

    #[test]
    fn the_first_failure_ends_it() {
        let failed = super::run("a test", 3, || Ok(()), || Err::<(), _>("no".to_owned()));
        assert_eq!(failed.unwrap_err(), "no");
    }
}
