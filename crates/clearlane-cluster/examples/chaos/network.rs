//! Hosts of a trial in network namespaces of their own, joined by a bridge: their links can be cut, and then nothing comes through
//! and nothing is refused, as with a cable that is pulled out. Needs the rights of root and Debian's iproute2.

use std::process::Command;

/// The bridge, where the trial's own process is.
const BRIDGE: &str = "cl-bridge";
const HERE: &str = "10.203.0.1";

/// Namespaces `cl-0`, `cl-1` … which go with this.
pub(crate) struct Network {
    hosts: usize,
}

impl Network {
    /// The trial's own process beside `hosts` further hosts.
    pub(crate) fn start(hosts: usize) -> Self {
        let network = Self { hosts };
        network.clear();
        ip(&format!("link add {BRIDGE} type bridge"));
        ip(&format!("addr add {HERE}/24 dev {BRIDGE}"));
        ip(&format!("link set {BRIDGE} up"));
        for host in 0..hosts {
            ip(&format!("netns add cl-{host}"));
            ip(&format!("link add cl-link-{host} type veth peer name eth0 netns cl-{host}"));
            ip(&format!("link set cl-link-{host} master {BRIDGE} up"));
            ip(&format!("-n cl-{host} addr add {}/24 dev eth0", Self::address(host)));
            ip(&format!("-n cl-{host} link set eth0 up"));
            ip(&format!("-n cl-{host} link set lo up"));
        }
        network
    }

    pub(crate) fn address(host: usize) -> String {
        format!("10.203.0.{}", host + 10)
    }

    /// Cuts the link of a host, or mends it.
    pub(crate) fn link(host: usize, up: bool) {
        ip(&format!("link set cl-link-{host} {}", if up { "up" } else { "down" }));
    }

    /// What runs a program on a host: it takes the place of `ip`, so that signals reach it.
    pub(crate) fn words(host: usize) -> Vec<String> {
        ["ip", "netns", "exec", &format!("cl-{host}")].map(str::to_owned).to_vec()
    }

    /// What an earlier trial left, or this one.
    fn clear(&self) {
        for host in 0..self.hosts {
            quietly(&format!("netns del cl-{host}"));
        }
        quietly(&format!("link del {BRIDGE}"));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.clear();
    }
}

fn ip(words: &str) {
    assert!(quietly(words), "`ip {words}` failed: this needs the rights of root");
}

fn quietly(words: &str) -> bool {
    Command::new("ip").args(words.split(' ')).stderr(std::process::Stdio::null()).status().is_ok_and(|it| it.success())
}
