"""Download bundles from the Hugging Face Hub, and upload them. Needs the extra ``hub``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import ModelHubMixin, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from frami.core.errors import OperationError, UsageError
from frami.core.files import WAYS_OUT, describe_os_error
from frami.models import bundle

# What a bundle may consist of. Code is downloaded, but only a caller that trusts it runs it.
PATTERNS = [*bundle.BUNDLE_FILES, *bundle.HUB_FILES, "code/*"]


class HubFolder(ModelHubMixin):
    """The folder of a bundle, as huggingface_hub handles models.

    Attributes:
        path: The folder, if it was downloaded.
    """

    def __init__(
        self, path: Path | None = None, save: Callable[[Path], Path] | None = None
    ) -> None:
        self.path, self._save = path, save

    def _save_pretrained(self, save_directory: Path) -> None:
        assert self._save is not None
        self._save(save_directory)

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        revision: str | None,
        cache_dir: str | Path | None,
        force_download: bool,
        local_files_only: bool,
        token: str | bool | None,
        **model_kwargs: Any,
    ) -> HubFolder:
        folder = snapshot_download(
            model_id,
            revision=revision,
            cache_dir=cache_dir,
            force_download=force_download,
            local_files_only=local_files_only,
            token=token,
            allow_patterns=PATTERNS,
        )
        return cls(Path(folder))


def download(source: str, revision: str | None, **options: Any) -> Path:
    """Return the folder that ``owner/name`` on the Hub was downloaded to."""
    with _one_sentence(source):
        path = HubFolder.from_pretrained(source, revision=revision, **options).path
    assert path is not None
    return path


def upload(save: Callable[[Path], Path], repository: str, **options: Any) -> str:
    """Upload what ``save`` writes to a folder to ``owner/name``; return the commit's address."""
    with _one_sentence(repository):
        return str(HubFolder(save=save).push_to_hub(repository, **options))


@contextmanager
def _one_sentence(source: str) -> Iterator[None]:
    """Turn the errors of huggingface_hub within the block into one sentence."""
    try:
        yield
    except HFValidationError as error:
        raise UsageError(
            f"{source!r} is neither a folder nor the name of a model on the Hub, owner/name."
        ) from error
    # LocalEntryNotFoundError and OfflineModeIsEnabled are OSErrors.
    except (HfHubHTTPError, OSError) as error:
        if isinstance(error, OSError) and error.errno in WAYS_OUT:  # of this machine
            raise OperationError(describe_os_error(error)) from error
        reason = str(error).strip().split("\n")[0]
        raise OperationError(
            f"The Hugging Face Hub cannot be used for {source} ({reason}). Check the name and the "
            f"network, or log in: hf auth login."
        ) from error
