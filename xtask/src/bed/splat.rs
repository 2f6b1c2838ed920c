//! What a kernel writes to its log when something in it is wrong.

/// One complaint of the kernel's.
#[derive(Debug, PartialEq, Eq)]
pub struct Splat {
    /// The line that was recognised, without its timestamp.
    pub title: String,
    /// That line and what follows it, to the end of the report.
    pub text: String,
}

/// What begins a message.
const BEGINNINGS: &[&str] = &[
    // WARN_ON, and most of lockdep's reports.
    "WARNING: ",
    // KASAN, lists, sleeping where one must not, null pointers, bad pages ...
    "BUG: ",
    // SLUB: "BUG kmalloc-64 (Tainted: G O): Poison overwritten".
    "BUG kmalloc-",
    "Oops",
    "Kernel panic",
    "UBSAN: ",
    "refcount_t: ",
    "ODEBUG: ",
    "general protection fault",
    "kobject_add_internal failed",
    "unbalanced counters for queue",
];

/// What is somewhere in a message.
const PARTS: &[&str] = &[
    "kernel BUG at",
    "KASAN: ",
    "Unable to handle",
    "possible circular locking",
    "possible recursive locking",
    "possible irq lock inversion",
    "inconsistent lock state",
    "suspicious RCU usage",
    "bad unlock balance",
    "Invalid wait context",
    "blocked for more than",
    "self-detected stall",
    "detected stalls on",
    "soft lockup",
    "nobody cared",
    "list_add corruption",
    "list_del corruption",
    "cannot create duplicate filename",
    "new suspected memory leaks",
    "page allocation failure",
    // Whatever else prints where it came from.
    "Call Trace:",
];

/// What debugging of DMA says when it is set up.
const DMA_API_IS_WELL: &[&str] = &["preallocated", "debugging enabled", "debugging disabled"];

/// What reports with a frame begin with, on the line before their title.
const RULE: &str = "=======";
const CUT: &str = "------------[ cut here ]";
/// What WARN_ON's reports end with.
const MARK: &str = "---[ end ";

/// A report with a frame is not longer than this: lockdep shows how each lock came to be held.
const LONGEST: usize = 400;
/// In others the stack begins after at most as many lines.
const BEFORE_STACK: usize = 30;
/// A report without a stack.
const WITHOUT_STACK: usize = 4;

/// All complaints in `log`, dmesg's output or a console's.
pub fn find(log: &str) -> Vec<Splat> {
    let lines: Vec<&str> = log.lines().map(message).collect();
    let mut splats = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        if !is_complaint(lines[at]) {
            at += 1;
            continue;
        }
        let end = end_of_report(&lines, at);
        splats.push(Splat { title: lines[at].to_owned(), text: lines[at..end].join("\n") });
        at = end;
    }
    splats
}

/// A line without what comes before the message: level, time, and the caller that PRINTK_CALLER adds.
fn message(line: &str) -> &str {
    let mut rest = line.trim_end();
    if let Some((level, after)) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        if level.bytes().all(|byte| byte.is_ascii_digit()) {
            rest = after;
        }
    }
    while let Some((stamp, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let known = |byte: u8| byte.is_ascii_digit() || b" .TC".contains(&byte);
        if stamp.is_empty() || !stamp.bytes().all(known) {
            break;
        }
        rest = after.strip_prefix(' ').unwrap_or(after);
    }
    rest
}

fn is_complaint(message: &str) -> bool {
    BEGINNINGS.iter().any(|beginning| message.starts_with(beginning))
        || PARTS.iter().any(|part| message.contains(part))
        || message.split_once("DMA-API: ").is_some_and(|(_, rest)| {
            !DMA_API_IS_WELL.iter().any(|beginning| rest.starts_with(beginning))
        })
}

/// Where the report that begins at `start` ends: behind its mark, or where its stack does.
fn end_of_report(lines: &[&str], start: usize) -> usize {
    let rest = &lines[start + 1..lines.len().min(start + LONGEST)];
    let before = if start > 0 { lines[start - 1] } else { "" };
    let mark = match before {
        _ if lines[start].contains("KASAN: ") => Some(RULE),
        _ if before.starts_with(CUT) => Some(MARK),
        _ => None,
    };
    let marked = mark.and_then(|mark| rest.iter().position(|line| line.starts_with(mark)));
    if let Some(at) = marked {
        return start + 1 + at + 1;
    }
    // The stack is this report's own unless another begins before it.
    let reach = if before.starts_with(RULE) { rest.len() } else { rest.len().min(BEFORE_STACK) };
    let stack = rest[..reach]
        .iter()
        .take_while(|line| is_stack(line) || !is_complaint(line) && !line.starts_with(CUT))
        .position(|line| is_stack(line));
    let length = match stack {
        Some(at) => {
            let frames = rest[at + 1..].iter().take_while(|line| line.starts_with(' '));
            at + 1 + frames.count()
        }
        None => {
            let own = rest.iter().take(WITHOUT_STACK);
            own.take_while(|line| !is_complaint(line) && !line.starts_with(CUT)).count()
        }
    };
    start + 1 + length
}

fn is_stack(message: &str) -> bool {
    message.starts_with("Call Trace:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(log: &str) -> Vec<String> {
        find(log).into_iter().map(|splat| splat.title).collect()
    }

    #[test]
    fn a_clean_boot_is_clean() {
        let log = "\
[    0.000000] Kernel command line: root=/dev/root init=/job/init.sh panic=-1
[    0.000000] Unknown kernel command line parameters \"A=/b\", will be passed to user space.
[    0.000000] KernelAddressSanitizer initialized (generic)
[    0.000000] rcu: \tRCU lockdep checking is enabled.
[    0.000000] Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar
[    1.210000] DMA-API: preallocated 65536 debug entries
[    1.210000] DMA-API: debugging enabled by kernel config
[    1.220000] Running RCU synchronous self tests
[   12.100000] kmemleak: Kernel memory leak detector initialized (mem pool available: 15840)
[   12.150000] epollctl add err fd 11, Operation not permitted
[   12.330000] Run /job/init.sh as init process
[   44.730000] hello: loading out-of-tree module taints kernel.
[   45.000000] client[71]: segfault at 10 ip 0000000040001136 sp 00007ffe error 4 in client
[   45.100000] debug: bug: warnings are not this loud
[   58.600000] sysrq: Power Off";
        assert_eq!(find(log), []);
    }

    #[test]
    fn a_warning_ends_at_its_mark() {
        let log = "\
[    1.000000] visl: probing
[    2.500000] ------------[ cut here ]------------
[    2.500000] WARNING: drivers/media/common/videobuf2/videobuf2-core.c:1803 at vb2_start_streaming+0x11e/0x150, CPU#0: v4l2-ctl/44
[    2.500000] Modules linked in: daedalus(O)
[    2.500000] Call Trace:
[    2.500000]  [<600e1f2a>] ? vb2_core_streamon+0x8a/0x110
[    2.500000] ---[ end trace 0000000000000000 ]---
[    2.600000] visl: fine again";
        let splats = find(log);
        assert_eq!(splats.len(), 1);
        assert!(splats[0].title.starts_with("WARNING: drivers/media/"), "{splats:?}");
        assert!(splats[0].text.ends_with("]---"), "{splats:?}");
    }

    #[test]
    fn a_use_after_free_is_one_report() {
        let log = "\
[   30.010000] ==================================================================
[   30.020000] BUG: KASAN: slab-use-after-free in bad_init+0x8f/0x1000 [bad]
[   30.030000] Read of size 4 at addr 0000000063d14c00 by task insmod/61
[   30.040000]
[   30.050000] Call Trace:
[   30.060000]  [<60c0ffee>] dump_stack_lvl+0x40/0x60
[   30.070000]  [<60c0ffef>] kasan_report+0xd8/0x110
[   30.080000]
[   30.090000] Allocated by task 61:
[   30.100000]  kasan_save_stack+0x2f/0x50
[   30.100000]
[   30.100000] Freed by task 61:
[   30.100000]  kasan_save_stack+0x2f/0x50
[   30.110000] ==================================================================
[   30.120000] Disabling lock debugging due to kernel taint";
        let splats = find(log);
        assert_eq!(splats.len(), 1, "{splats:?}");
        assert!(splats[0].text.contains("Freed by"));
        assert!(!splats[0].text.contains("Disabling"));
    }

    #[test]
    fn a_deadlock_is_one_report() {
        let log = "\
[    1.880000] bad: loading out-of-tree module taints kernel.
[    1.880000] ======================================================
[    1.880000] WARNING: possible circular locking dependency detected
[    1.880000] 7.2.12-daedalus-debug #1 Tainted: G           O
[    1.880000] ------------------------------------------------------
[    1.880000] insmod/47 is trying to acquire lock:
[    1.880000] 00000000e0814258 (a){+.+.}-{3:3}, at: bad_init+0x257/0x1000 [bad]
[    1.880000]
               but task is already holding lock:
[    1.880000] 00000000e08141b8 (b){+.+.}-{3:3}, at: bad_init+0x24f/0x1000 [bad]
[    1.880000]
               stack backtrace:
[    1.880000] CPU: 0 UID: 0 PID: 47 Comm: insmod Tainted: G           O        7.2.12-daedalus-debug
[    1.880000] Stack:
[    1.880000]  0000002f 66163260 66163270 610c6980
[    1.880000] Call Trace:
[    1.880000]  [<6004c1ef>] ? _printk+0x0/0xb9
[    1.880000]  [<600bf945>] fork_handler+0x95/0xc0
[    1.890000] bad: fine again";
        let splats = find(log);
        assert_eq!(splats.len(), 1, "{splats:?}");
        assert!(splats[0].text.ends_with("fork_handler+0x95/0xc0"), "{splats:?}");
    }

    #[test]
    fn lockdep_is_heard() {
        for title in [
            "WARNING: possible circular locking dependency detected",
            "WARNING: possible recursive locking detected",
            "WARNING: inconsistent lock state",
            "WARNING: suspicious RCU usage",
            "WARNING: bad unlock balance detected!",
            "BUG: sleeping function called from invalid context at kernel/locking/mutex.c:609",
            "BUG: scheduling while atomic: insmod/61/0x00000002",
            "BUG: Invalid wait context",
        ] {
            assert_eq!(titles(&format!("[    9.100000][   T61] {title}\n[    9.2] next")), [title]);
        }
    }

    #[test]
    fn the_rest_is_heard() {
        for title in [
            "BUG: kernel NULL pointer dereference, address: 0000000000000010",
            "BUG kmalloc-64 (Tainted: G           O       ): Poison overwritten",
            "Oops: general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP",
            "general protection fault: 0000 [#1] PREEMPT SMP NOPTI",
            "Unable to handle kernel paging request at virtual address ffff800012345678",
            "Kernel panic - not syncing: Segfault with no mm",
            "UBSAN: array-index-out-of-bounds in drivers/a.c:12:3",
            "refcount_t: underflow; use-after-free.",
            "ODEBUG: free active (active state 0) object: 0000000061 object type: timer_list hint: f+0x0",
            "daedalus daedalus.0: DMA-API: device driver frees DMA memory with wrong function",
            "INFO: task daedalusd:71 blocked for more than 30 seconds.",
            "rcu: INFO: rcu_preempt self-detected stall on CPU",
            "rcu: INFO: rcu_sched detected stalls on CPUs/tasks:",
            "watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [insmod:61]",
            "irq 9: nobody cared (try booting with the \"irqpoll\" option)",
            "sysfs: cannot create duplicate filename '/devices/virtual/video4linux/video0'",
            "kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
            "list_del corruption, 0000000061->next is LIST_POISON1 (dead000000000100)",
            "unbalanced counters for queue 00000000612ce0a8:",
            "kernel BUG at mm/slub.c:500!",
        ] {
            assert_eq!(titles(&format!("<4>[    9.100000] {title}")), [title]);
        }
    }

    #[test]
    fn a_report_does_not_take_the_next_one_s_stack() {
        let log = "\
[    1.0] unbalanced counters for queue 00000000612ce0a8:
[    1.0]   setup: 1 start_streaming: 1 stop_streaming: 0
[    2.0] INFO: task a:1 blocked for more than 30 seconds.
[    2.0] Call Trace:
[    2.0]  [<6004c1ef>] ? _printk+0x0/0xb9";
        let splats = find(log);
        assert_eq!(splats.len(), 2, "{splats:?}");
        assert!(splats[0].text.ends_with("stop_streaming: 0"));
    }

    #[test]
    fn a_warning_without_end_mark_ends_behind_its_stack() {
        let log = "\
[    2.5] WARNING: at f+0x1/0x2, CPU#0: a/1
[    2.5] Call Trace:
[    2.5]  [<600e1f2a>] ? g+0x8a/0x110
[    2.6] visl: fine again";
        assert!(!find(log)[0].text.contains("fine"));
    }
}
