"""The public files that the profiles need: where they come from, their licences, and where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from amdm.errors import unknown

PROFILES = ("paper", "gligen", "interactdiffusion-v1.2", "interactdiffusion-v1.2-fp16", "judge")

OPENRAIL = "CreativeML OpenRAIL-M"
NON_COMMERCIAL = "non-commercial or none stated"


@dataclass(frozen=True)
class WeightFile:
    """One public file.

    name: short, unique. repository: on the Hugging Face Hub, or "" for a file of Google Drive. path: inside it.
    revision: a commit; "main" where none is known to us: the commit is then recorded at the first fetch and kept.
    drive_id: of Google Drive. older_drive_id: of an earlier upload of it, tried where the first is refused.
    size: bytes, None where not known to us. about: where it is not, the bytes of the tensors it must hold.
    converted: bytes of the tensors of its conversion, None for a file that is read as it came.
    licence: as its authors state it.
    sha256: as several independent public texts give it; its beginning where they give no more, "" for none.
    """

    name: str
    repository: str
    path: str
    revision: str
    licence: str
    profiles: tuple[str, ...]
    size: int | None = None
    drive_id: str = ""
    sha256: str = ""
    older_drive_id: str = ""
    about: int | None = None
    converted: int | None = None

    @property
    def place(self) -> PurePosixPath:
        """Where it lies under the weights folder."""
        return PurePosixPath(self.repository or "drive") / self.path

    @property
    def source(self) -> str:
        """For a person to read."""
        return f"Google Drive {self.drive_id}" if self.drive_id else f"{self.repository}:{self.path}"

    @property
    def expected_bytes(self) -> int | None:
        """Its size, exact or about; None where nothing is known to us."""
        return self.about if self.size is None else self.size

    @property
    def is_text(self) -> bool:
        """Whether it is a configuration or a vocabulary: under a MB, whatever its size."""
        return self.place.suffix in (".json", ".txt")

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit."""
        return self.revision != "main"


SD14 = ("CompVis/stable-diffusion-v1-4", "133a221b8aa7292a167afc5127cb63fb5005638b")
SD15 = ("stable-diffusion-v1-5/stable-diffusion-v1-5", "451f4fe16113bff5a5d2269ed5ad43b0592e9a14")
IP_ADAPTER = ("h94/IP-Adapter", "018e402774aeeddd60609b4ecdb7e298259dc729")
VAE_MSE = ("stabilityai/sd-vae-ft-mse", "31f26fdeee1355a5c34592e401dd41e45d25a493")
CLIP = "timm/vit_large_patch14_clip_224.openai"
"""OpenAI's CLIP ViT-L/14 in the form that open_clip reads."""

INTERACT = "jiuntian/interactiondiffusion-weight"
INTERACT_V12 = "interactdiffusion/diffusers-v1-2"
GLIGEN = "masterful/gligen-1-4-generation-text-box"
DINO, DINO_COMMIT = "IDEA-Research/grounding-dino-tiny", "a2bb814dd30d776dcf7e30523b00659f4f141c71"
SAM, SAM_COMMIT = "facebook/sam-vit-huge", "87aecf0df4ce6b30cd7de76e87673c49644bdf67"
UNET, TEXT, VAE = (
    "unet/diffusion_pytorch_model.safetensors",
    "text_encoder/model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
)

CATALOGUE: tuple[WeightFile, ...] = (
    WeightFile("sd14-unet", SD14[0], UNET, SD14[1], OPENRAIL, ("paper",), 3_438_167_536, sha256="d54d1800"),
    WeightFile("sd14-text-encoder", SD14[0], TEXT, SD14[1], OPENRAIL, PROFILES[:-1], about=492_241_920),
    WeightFile("sd14-vae", SD14[0], VAE, SD14[1], OPENRAIL, PROFILES[:-1], about=334_615_452),
    WeightFile(
        "interactdiffusion",
        INTERACT,
        "interact-diffusion-v1.pth",
        "main",
        NON_COMMERCIAL,
        ("paper",),
        converted=4_278_929_808,
    ),
    WeightFile(
        "migc",
        "",
        "MIGC_SD14.ckpt",
        "main",
        NON_COMMERCIAL,
        ("paper",),
        drive_id="107fnQ9Fpu5K0UtqnHlKja7hqe-GwjAmz",
        older_drive_id="1v5ik-94qlfKuCx-Cv1EfEkxNBygtsz0T",
        about=229_471_632,
        converted=229_471_632,
    ),
    WeightFile(
        "ip-adapter",
        IP_ADAPTER[0],
        "models/ip-adapter_sd15.safetensors",
        IP_ADAPTER[1],
        "Apache-2.0",
        ("paper",),
        44_642_768,
        sha256="289b45f16d043d0bf542e45831f971dcdaabe18b656f11e86d9dfba7e9ee3369",
    ),
    WeightFile(
        "ip-adapter-image-encoder",
        IP_ADAPTER[0],
        "models/image_encoder/model.safetensors",
        IP_ADAPTER[1],
        "Apache-2.0",
        ("paper",),
        2_528_373_448,
        sha256="6ca9667da1ca9e0b0f75e46bb030f7e011f44f86cbfb8d5a36590fcd7507b030",
    ),
    WeightFile(
        "sd15-unet",
        SD15[0],
        UNET,
        SD15[1],
        OPENRAIL,
        ("paper",),
        3_438_167_540,
        sha256="19da7aaa4b880e59d56843f1fcb4dd9b599c28a1d9d9af7c1143057c8ffae9f1",
    ),
    WeightFile(
        "vae-ft-mse",
        VAE_MSE[0],
        "diffusion_pytorch_model.safetensors",
        VAE_MSE[1],
        "MIT",
        ("paper",),
        334_643_276,
        sha256="a1d993488569e928462932c8c38a0760b874d166399b14414135bd9c42df5815",
    ),
    WeightFile("gligen-unet", GLIGEN, UNET, "main", "see the repository", ("gligen",), about=4_274_492_816),
    WeightFile(
        "interactdiffusion-v1.2",
        INTERACT_V12,
        UNET,
        "main",
        NON_COMMERCIAL,
        ("interactdiffusion-v1.2",),
        4_279_053_400,
        sha256="c87b0921",
        converted=4_278_929_808,
    ),
    WeightFile(
        "interactdiffusion-v1.2-fp16",
        INTERACT_V12,
        UNET.replace(".safetensors", ".fp16.safetensors"),
        "main",
        NON_COMMERCIAL,
        ("interactdiffusion-v1.2-fp16",),
        2_139_588_048,
        sha256="bd023e84",
        converted=2_139_464_904,
    ),
    WeightFile(
        "grounding-dino-tiny-model.safetensors",
        DINO,
        "model.safetensors",
        DINO_COMMIT,
        "Apache-2.0",
        ("judge",),
        689_359_096,
        sha256="1a2412ef99bd74bcd3c2a246fa1e48581f8889a1300c9051974741314fc042f3",
    ),
    *(
        WeightFile(f"grounding-dino-tiny-{name}", DINO, name, DINO_COMMIT, "Apache-2.0", ("judge",))
        for name in ("config.json", "preprocessor_config.json", "tokenizer.json", "vocab.txt")
    ),
    *(
        WeightFile(f"sam-vit-huge-{name}", SAM, name, SAM_COMMIT, "Apache-2.0", ("judge",), about=about)
        for name, about in (
            ("model.safetensors", 2_564_364_480),
            ("config.json", None),
            ("preprocessor_config.json", None),
        )
    ),
    WeightFile("clip-vit-large", CLIP, "open_clip_model.safetensors", "main", "MIT", ("judge",), about=1_710_466_052),
)


def files_of(profile: str) -> list[WeightFile]:
    """The files of a profile. Raises InputError for an unknown one."""
    if profile not in PROFILES:
        raise unknown("profile", profile, PROFILES, field="profile")
    return [one for one in CATALOGUE if profile in one.profiles]


def file_named(name: str) -> WeightFile:
    """One file by its short name. Raises InputError for an unknown one."""
    found = {one.name: one for one in CATALOGUE}
    if name not in found:
        raise unknown("file", name, found, see="`amdm weights list` shows them", field="name")
    return found[name]
