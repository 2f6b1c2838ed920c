//! The system calls that decoding needs, found with strace: what the pump, the decoders' threads, the
//! allocator and the standard library call once all is set up.
//!
//! All others fail with ENOSYS, as in a kernel that does not have them. Libraries know how to do without calls
//! of newer kernels (glibc starts threads with clone() where there is no clone3(), whose flags cannot be
//! looked at here); ending the process would make each update of a library a risk for everybody's pictures.
//! Whoever has taken over a decoder gets nowhere either way.

use std::os::fd::RawFd;

use crate::{Error, Result};

/// Leaves these calls, and taking connections to `listener`. Says how many; none if they are not limited.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) fn restrict(listener: Option<RawFd>) -> Result<Option<usize>> {
    let failed = |error: &dyn std::fmt::Display| Error::Sandbox("seccomp", error.to_string());
    let rules = filter::rules(listener).map_err(|error| failed(&error))?;
    let count = rules.len();
    let program = filter::program(rules).map_err(|error| failed(&error))?;
    match seccompiler::apply_filter(&program) {
        Ok(()) => Ok(Some(count)),
        Err(seccompiler::Error::Seccomp(error))
            if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) =>
        {
            log::warn!("sandbox: this kernel has no seccomp filters");
            Ok(None)
        }
        Err(error) => Err(failed(&error)),
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn restrict(_: Option<RawFd>) -> Result<Option<usize>> {
    log::warn!("sandbox: no seccomp filter for this architecture");
    Ok(None)
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod filter {
    use std::{collections::BTreeMap, os::fd::RawFd};

    use daedalus_uapi::protocol::{Complete, GetBuffer, IOC_COMPLETE, IOC_GET_BUFFER, IOC_TYPE};
    use seccompiler::{
        BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
        SeccompFilter, SeccompRule,
    };

    type Rules = BTreeMap<i64, Vec<SeccompRule>>;

    /// With any arguments.
    const PLAIN: &[i64] = &[
        // Messages, the log, the dump; dma-bufs.
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_lseek,
        libc::SYS_close,
        libc::SYS_ppoll,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll,
        // Memory; see `rules` for more.
        libc::SYS_brk,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_membarrier,
        // Threads.
        libc::SYS_futex,
        libc::SYS_set_robust_list,
        libc::SYS_rseq,
        libc::SYS_sigaltstack,
        libc::SYS_sched_getaffinity,
        libc::SYS_sched_yield,
        libc::SYS_gettid,
        libc::SYS_exit,
        libc::SYS_exit_group,
        // Time, where it takes a system call.
        libc::SYS_clock_gettime,
        libc::SYS_gettimeofday,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_restart_syscall,
        // abort(): a crash should look like one.
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_getpid,
        // Seeds of hash maps.
        libc::SYS_getrandom,
    ];

    /// Namespaces are not for threads. (CLONE_NEWTIME is a bit of the exit signal, which threads have none of.)
    const NAMESPACES: i32 = libc::CLONE_NEWNS
        | libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET;

    /// What may be called; `listener` is the control socket.
    pub fn rules(listener: Option<RawFd>) -> Result<Rules, BackendError> {
        let mut rules: Rules = PLAIN.iter().map(|call| (*call, Vec::new())).collect();
        let mut only = |call: i64, allowed: &[SeccompCondition]| {
            let allowed = allowed.iter().map(|one| SeccompRule::new(vec![one.clone()]));
            Ok::<_, BackendError>(rules.insert(call, allowed.collect::<Result<_, _>>()?))
        };
        // No memory becomes code.
        only(libc::SYS_mmap, &[masked(2, libc::PROT_EXEC, 0)?])?;
        only(libc::SYS_mprotect, &[masked(2, libc::PROT_EXEC, 0)?])?;
        // Threads, and no processes.
        let thread = libc::CLONE_THREAD;
        only(libc::SYS_clone, &[masked(0, thread | NAMESPACES, thread)?])?;
        only(libc::SYS_prctl, &[equal(0, libc::PR_SET_NAME as u64)?])?;
        // Asked about (a thread's stack), not set.
        only(libc::SYS_prlimit64, &[qword(2, 0)?])?;
        // What the standard library makes sure of before it closes a file, in builds with debug assertions.
        only(libc::SYS_fcntl, &[equal(1, libc::F_GETFD as u64)?])?;
        only(libc::SYS_tgkill, &[equal(0, u64::from(std::process::id()))?])?;
        let ioctls = [
            nix::request_code_readwrite!(IOC_TYPE, IOC_GET_BUFFER, size_of::<GetBuffer>()),
            nix::request_code_write!(IOC_TYPE, IOC_COMPLETE, size_of::<Complete>()),
            crate::mapping::SYNC_REQUEST,
        ];
        let ioctls: Result<Vec<_>, _> = ioctls.iter().map(|number| equal(1, *number)).collect();
        only(libc::SYS_ioctl, &ioctls?)?;
        if let Some(listener) = listener {
            // Connections come, none is made; what they say is read() and written like all else.
            only(libc::SYS_accept4, &[equal(0, listener as u64)?])?;
            let peer = [equal(1, libc::SOL_SOCKET as u64)?, equal(2, libc::SO_PEERCRED as u64)?];
            rules.insert(libc::SYS_getsockopt, vec![SeccompRule::new(peer.into())?]);
        }
        Ok(rules)
    }

    /// The filter for the kernel.
    pub fn program(rules: Rules) -> Result<BpfProgram, BackendError> {
        let otherwise = SeccompAction::Errno(libc::ENOSYS as u32);
        let architecture = std::env::consts::ARCH.try_into()?;
        SeccompFilter::new(rules, otherwise, SeccompAction::Allow, architecture)?.try_into()
    }

    /// Of the bits of an argument, these have this value.
    fn masked(argument: u8, bits: i32, value: i32) -> Result<SeccompCondition, BackendError> {
        let is = SeccompCmpOp::MaskedEq(u64::from(bits as u32));
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, is, u64::from(value as u32))
    }

    fn equal(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
    }

    fn qword(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
        SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, value)
    }
}
