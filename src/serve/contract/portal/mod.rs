//! The portal contract: users, their agents (hosts), and the VMs on those.
