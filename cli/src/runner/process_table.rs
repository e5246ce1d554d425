//! Which processes there are, from Linux's /proc. Other systems have none: there, the table is empty.

use rustix::process::Pid;

/// A process that lives. A zombie does not: it takes no signal, and where nobody reaps it, it stays for ever.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    pub pid: Pid,
    /// 0 for those without one.
    pub parent: i32,
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "groups are asked with kill"))]
    pub group: i32,
}

#[cfg(target_os = "linux")]
pub fn living() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| Pid::from_raw(entry.ok()?.file_name().to_str()?.parse().ok()?));
    pids.filter_map(find).collect()
}

/// One of them.
#[cfg(target_os = "linux")]
pub fn find(pid: Pid) -> Option<Process> {
    let stat = std::fs::read(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
    parse_stat(pid, &String::from_utf8_lossy(&stat))
}

#[cfg(not(target_os = "linux"))]
pub fn living() -> Vec<Process> {
    Vec::new()
}

/// Whether a process was started with this in its environment. Nobody may ask that of other users' processes.
pub fn has_in_environment(pid: Pid, entry: &str) -> bool {
    let environment = std::fs::read(format!("/proc/{}/environ", pid.as_raw_pid())).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|found| found == entry.as_bytes())
}

/// Reads `/proc/PID/stat`, unless the process is dead. The name, in parentheses, can contain anything.
#[cfg(target_os = "linux")]
fn parse_stat(pid: Pid, stat: &str) -> Option<Process> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ');
    let lives = fields.next().is_some_and(|state| !matches!(state, "Z" | "X"));
    let (parent, group) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    lives.then_some(Process { pid, parent, group })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_it_is_called() {
        let pid = rustix::process::getpid();
        let read = |stat: &str| parse_stat(pid, stat).map(|process| (process.parent, process.group));
        assert_eq!(read("7 (sh) S 3 5 7 0"), Some((3, 5)));
        assert_eq!(read("7 (a) Z 9) (b) R 3 5 7 0"), Some((3, 5)));
        assert_eq!(read("7 (sh) Z 3 5 7 0"), None);
        for odd in ["", "7", "7 (sh", "7 (sh) ", "7 (sh) S", "7 (sh) S x 5", "7 (sh) S 3"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }

    #[test]
    fn this_process_is_in_the_table() {
        let me = rustix::process::getpid();
        assert!(living().iter().any(|process| process.pid == me));
    }
}
