"""What a review server is told when it starts."""

from dataclasses import dataclass

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Settings:
    """How a server may be reached.

    Attributes:
        host: address that it listens at.
        port: its port.
        token: what every request must carry; None where none is needed, on loopback only.
        origins: further origins whose pages may call it, such as that of an OHIF viewer.
        certificate: PEM file of a TLS certificate, or None.
        key: PEM file of its private key, or None.
    """

    host: str = "127.0.0.1"
    port: int = 8008
    token: str | None = None
    origins: tuple[str, ...] = ()
    certificate: str | None = None
    key: str | None = None

    @property
    def loopback(self) -> bool:
        """Whether only programs of this machine reach it."""
        return self.host in LOOPBACK

    @property
    def address(self) -> str:
        """The address to open."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.certificate else 'http'}://{host}:{self.port}/"
