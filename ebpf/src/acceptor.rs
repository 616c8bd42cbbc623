//! Linux's part in the shield's cookies: a program that has its listeners accept them.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};

use libbpf_rs::MapHandle;
use libbpf_rs::skel::{OpenSkel as _, SkelBuilder as _};

use crate::attach::Link;
use crate::shield::{SharedMaps, bring_to};
use crate::skeleton::AcceptorSkelBuilder;
use crate::{Control, PortSettings, Shield, ShieldError, ShieldSettings, log, settings, sys};

/// Opens connections in Linux that the shield answered and Linux is to have: whoever acknowledges
/// with a cookie of the shield's is accepted by the listener there, with all that the cookie
/// remembers. Dropping it detaches.
///
/// Needs Linux 6.9. Without it Linux resets such a connection, as it knows nothing of it.
#[derive(Debug)]
pub struct Acceptor {
    program: OwnedFd,
    services: MapHandle,
    control: Control,
    ports: Vec<Port>,
}

#[derive(Debug)]
struct Port {
    settings: PortSettings,
    link: Option<Link>,
}

impl Acceptor {
    /// Loads the program for a shield in XDP, whose services and keys it reads.
    pub fn beside(shield: &Shield) -> Result<Self, ShieldError> {
        Acceptor::load(Some(shield.shared_maps()), shield.port_settings().cloned())
    }

    /// Loads the program where the shield is not in XDP. It is told the keys by
    /// [`Acceptor::control`], before anything is attached.
    pub fn alone(settings: &ShieldSettings) -> Result<Self, ShieldError> {
        settings::check_ports(&settings.ports)?;
        settings::check_cookies(&settings.cookies)?;
        let services = settings::service_entries(&settings.ports, &settings.services)?;
        let acceptor = Acceptor::load(None, settings.ports.iter().cloned())?;
        acceptor.control.set_cookie_services(&settings.cookies);
        bring_to(&acceptor.services, &services, "fill the services")?;
        Ok(acceptor)
    }

    /// Starts to see the packets that a port has for Linux.
    pub fn attach(&mut self, port_index: u32) -> Result<(), ShieldError> {
        let unknown = ShieldError::UnknownPort(port_index);
        let port = self.ports.get_mut(port_index as usize).ok_or(unknown)?;
        if port.link.is_none() {
            let PortSettings { ifindex, interface, .. } = &port.settings;
            let link = sys::tcx_link(self.program.as_fd(), *ifindex).map_err(|source| {
                ShieldError::AttachAcceptor { interface: interface.clone(), source }
            })?;
            port.link = Some(Link::new(link, interface));
        }
        Ok(())
    }

    /// What the program goes by; beside a shield, the shield's own.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// The object is only needed to load: the descriptors keep alive what it made.
    fn load(
        shared: Option<SharedMaps<'_>>,
        ports: impl Iterator<Item = PortSettings>,
    ) -> Result<Self, ShieldError> {
        let mut object = MaybeUninit::uninit();
        let (loaded, log) = log::captured(|| {
            let mut skeleton = AcceptorSkelBuilder::default().open(&mut object)?;
            if let Some(SharedMaps { services, control }) = shared {
                skeleton.maps.services.reuse_fd(services)?;
                skeleton.maps.control.reuse_fd(control)?;
            }
            skeleton.load()
        });
        let skeleton = loaded.map_err(|source| ShieldError::LoadAcceptor { source, log })?;
        let failed = |source| ShieldError::Map { doing: "take hold of the descriptors", source };
        let program = skeleton.progs.ringroad_accept.as_fd().try_clone_to_owned();
        Ok(Acceptor {
            program: program.map_err(|error| failed(error.into()))?,
            services: MapHandle::try_from(&skeleton.maps.services).map_err(failed)?,
            control: Control::map(skeleton.maps.control.as_fd())
                .map_err(ShieldError::ControlPage)?,
            ports: ports.map(|settings| Port { settings, link: None }).collect(),
        })
    }
}
