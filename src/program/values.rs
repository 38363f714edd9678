//! What placeholders stand for: names and facts of a host and of a VM.

use crate::domain::inventory::HostSnapshot;
use crate::domain::vm::Vm;

/// Placeholders that a host has.
pub const HOST: &[&str] = &["host.name", "host.address", "host.port", "host.user"];

/// Placeholders that a VM has, its host's after its own.
pub const VM: &[&str] = &[
    "vm.name",
    "vm.id",
    "vm.state",
    "vm.ip",
    "host.name",
    "host.address",
    "host.port",
    "host.user",
];

/// Values by the name of their placeholder; one may be there and not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values(Vec<(&'static str, Option<String>)>);

impl Values {
    /// The values of a host.
    pub fn of_host(host: &HostSnapshot) -> Self {
        let spec = &host.spec;
        Self::default()
            .with("host.name", spec.name.as_str())
            .with("host.address", &spec.endpoint.address)
            .with("host.port", &spec.endpoint.port_or_default().to_string())
            .maybe("host.user", spec.user.as_ref().map(ToString::to_string))
    }

    /// The values of a VM and of its host.
    pub fn of_vm(host: &HostSnapshot, vm: &Vm) -> Self {
        let addresses = vm.facts.addresses.as_deref();
        let first = addresses.and_then(|all| all.first());
        let Self(hosts) = Self::of_host(host);
        let Self(mut values) = Self::default()
            .with("vm.name", vm.name.raw())
            .with("vm.id", vm.id.as_str())
            .with("vm.state", vm.state.word())
            .maybe("vm.ip", first.map(|address| address.ip.to_string()));
        values.extend(hosts);
        Self(values)
    }

    /// Adds one that is known.
    #[must_use]
    pub fn with(self, name: &'static str, value: &str) -> Self {
        self.maybe(name, Some(value.to_owned()))
    }

    /// Adds one that is not known now.
    #[must_use]
    pub fn without(self, name: &'static str) -> Self {
        self.maybe(name, None)
    }

    /// Adds others behind these; of two of one name the first counts.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    fn maybe(mut self, name: &'static str, value: Option<String>) -> Self {
        self.0.push((name, value));
        self
    }

    /// Finds one; the inner `None` is one that is not known.
    pub fn get(&self, name: &str) -> Option<Option<&str>> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_deref())
    }

    /// Names the placeholders there are.
    pub fn in_words(&self) -> String {
        let names: Vec<String> = self
            .0
            .iter()
            .map(|(name, _)| format!("{{{name}}}"))
            .collect();
        if names.is_empty() {
            "there are none".to_owned()
        } else {
            names.join(" ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fleet;

    #[test]
    fn what_is_said_about_hosts_and_vms_is_what_they_have() {
        let state = fleet::small();
        let host = &state.hosts[0];
        let names = |values: &Values| values.0.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        assert_eq!(names(&Values::of_host(host)), HOST);
        let vm = &host.vms()[0];
        let values = Values::of_vm(host, vm);
        assert_eq!(names(&values), VM);
        assert_eq!(values.get("vm.name"), Some(Some(vm.name.raw())));
        assert_eq!(values.get("vm.nothing"), None);
    }
}
