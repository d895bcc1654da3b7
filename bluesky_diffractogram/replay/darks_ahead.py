"""Which dark frames will have, told before their turn, so that they can be reduced elsewhere."""

from __future__ import annotations

from ..documents.assets import Assets
from ..documents.dark_in_force import DarkInForce, dark_for, dark_in_force
from ..documents.messages import DarkReceived, ImagesReceived, Message, RunAbandoned, RunStopped
from ..files import NotReadable
from ..reduction.dark import AnyDark
from ..reduction.frame import FrameError


class DarksAhead:
    """Sees all messages in order, and reads the darks among them.

    One that is not readable yet may be when its turn has come: what the frames behind it will have is not known then,
    up to the next one.

    Parameters
    ----------
    assets
        Reads images from files.
    """

    def __init__(self, assets: Assets) -> None:
        self._assets = assets
        self._in_force: dict[str, DarkInForce] = {}
        self._unsure: set[str] = set()
        self._of: dict[ImagesReceived, DarkInForce | None] = {}

    def see(self, message: Message) -> None:
        """Take a dark, or note which one frames will have."""
        match message:
            case DarkReceived(images):
                uid = images.run_uid
                try:
                    self._in_force[uid], _ = dark_in_force(images, self._assets, self._in_force.get(uid))
                    if not images.setting.others:  # else that of another detector may still be unsure
                        self._unsure.discard(uid)
                except NotReadable:
                    self._unsure.add(uid)
                except Exception:  # which is said when its turn has come, and leaves the earlier one in force
                    pass
            case ImagesReceived():
                if message.setting.config.dark_of_run is not None and message.run_uid not in self._unsure:
                    self._of[message] = self._in_force.get(message.run_uid)
            case RunStopped(run_uid) | RunAbandoned(run_uid):
                self._in_force.pop(run_uid, None)
                self._unsure.discard(run_uid)

    def of(self, images: ImagesReceived) -> AnyDark | None:
        """The dark for the frames of an event.

        Raises
        ------
        FrameError
            It is not known yet; or as `dark_for`.
        """
        if images.setting.config.dark_of_run is not None and images not in self._of:
            raise FrameError("no dark", "the dark before it could not be read yet")
        return dark_for(self._of.get(images), images, images.setting)

    def done(self, images: ImagesReceived) -> None:
        """An event will not be asked for again."""
        self._of.pop(images, None)

    def clear(self) -> None:
        """Let go of all."""
        self._in_force.clear()
        self._of.clear()
