"""The objects that the replies about ad systems carry."""

from __future__ import annotations

from pydantic import Field

from moonlatch.licensing.checkpoints import PROVIDERS, FieldType, Provider, ProviderName
from moonlatch.management.replies import Reply, Success, example
from moonlatch.storage.ad_systems import AdStep, AdSystem


class ProviderFieldView(Reply):
    """One setting of a step, as a form may ask for it."""

    model_config = example(
        id="token", name="Token", type="text", info="From the provider's page.", secret=True, needed=True
    )

    id: str
    name: str
    type: str = Field(description="`text`, `toggle`, or `info`: nothing to set, but something that the step tells")
    info: str
    secret: bool
    needed: bool


class AdSystemView(Reply):
    """An ad system; its page stands at `url`. Durations in milliseconds."""

    model_config = example(
        id="SYSTEM_ID",
        project_id="PROJECT_ID",
        name="Free keys",
        slug="free-keys",
        url="https://scripts.example.com/get/free-keys",
        enabled=True,
        key_duration=86_400_000,
        max_keys=1,
        allow_extending=True,
        max_duration=604_800_000,
        network_daily_keys=20,
        device_daily_keys=3,
        created_at=1_770_624_500_000,
    )

    id: str
    project_id: str
    name: str
    slug: str
    url: str
    enabled: bool
    key_duration: int
    max_keys: int
    allow_extending: bool
    max_duration: int
    network_daily_keys: int
    device_daily_keys: int
    created_at: int

    @classmethod
    def of(cls, system: AdSystem, public_url: str) -> AdSystemView:
        return cls(
            id=system.id,
            project_id=system.project_id,
            name=system.name,
            slug=system.slug,
            url=f"{public_url}/get/{system.slug}",
            enabled=system.enabled,
            key_duration=system.key_duration,
            max_keys=system.max_keys,
            allow_extending=system.allow_extending,
            max_duration=system.max_duration,
            network_daily_keys=system.network_daily_keys,
            device_daily_keys=system.device_daily_keys,
            created_at=system.created_at,
        )


class AdStepView(Reply):
    """A step, or another way through one. Of secrets it says only which are set."""

    model_config = example(
        id="STEP_ID",
        number=1,
        provider="workink",
        settings={"link": "https://work.ink/abc/free-keys", "link_id": "1234"},
        secrets=[],
        minimum_seconds=10,
        enabled=True,
        callback="https://scripts.example.com/verify/STEP_ID",
        down_until=None,
        created_at=1_770_624_500_000,
    )

    id: str
    number: int
    provider: str
    settings: dict[str, str] = Field(examples=[{"link": "https://work.ink/abc/free-keys"}])
    secrets: list[str] = Field(description="which secret settings are set")
    minimum_seconds: int
    enabled: bool
    callback: str | None = Field(
        description="where the provider's link leads to; null: to an address that is good once"
    )
    down_until: int | None = Field(description="Unix milliseconds: until then visitors are sent another way, or wait")
    created_at: int

    @classmethod
    def of(cls, step: AdStep, secrets: dict[str, str], public_url: str, now_ms: int) -> AdStepView:
        provider = PROVIDERS[ProviderName(step.provider)]
        secret = [field.id for field in provider.fields if field.is_secret and field.id in secrets]
        is_down = step.down_until is not None and step.down_until > now_ms
        return cls(
            id=step.id,
            number=step.number,
            provider=step.provider,
            settings=step.settings,
            secrets=secret,
            minimum_seconds=step.minimum_seconds,
            enabled=step.enabled,
            callback=f"{public_url}/verify/{step.id}" if provider.has_fixed_target else None,
            down_until=step.down_until if is_down else None,
            created_at=step.created_at,
        )


class AdStepStatistics(Reply):
    """What became of a step's tries in the last 24 hours, and how long the latest 220 that succeeded took."""

    model_config = example(step_id="STEP_ID", begun=120, done=96, median_seconds=31.5, hurried_at=None)

    step_id: str
    begun: int
    done: int
    median_seconds: float | None
    hurried_at: int | None = Field(
        description="Unix milliseconds: when it last took visitors less than half of the time that it used to"
    )


class ProvidersReply(Success):
    providers: dict[str, list[ProviderFieldView]] = Field(
        examples=[
            {"custom": [{"id": "url", "name": "Address", "type": "text", "info": "", "secret": False, "needed": True}]}
        ]
    )


class AdSystemsReply(Success):
    systems: list[AdSystemView]


class NewAdSystemReply(Success):
    system_id: str = Field(examples=["SYSTEM_ID"])
    system: AdSystemView


class AdSystemReply(Success):
    system: AdSystemView


class WholeAdSystemReply(Success):
    system: AdSystemView
    steps: list[AdStepView]
    statistics: list[AdStepStatistics]
    keys_today: int = Field(
        examples=[96], description="how often a key was given, or made to last longer, in the last 24 hours"
    )


class AdStepReply(Success):
    step: AdStepView


class AdStepSecretsReply(Success):
    step: AdStepView
    postback: str | None = Field(
        examples=["https://scripts.example.com/postback/SECRET"],
        description="the address that the provider calls; keep it secret",
    )
    signing_secret: str | None = Field(examples=[None], description="what callbacks of a custom step are signed with")


def provider_fields(provider: Provider) -> list[ProviderFieldView]:
    """What a step of a provider is set up with."""
    return [
        ProviderFieldView(
            id=field.id,
            name=field.name,
            type=field.type,
            info=field.info,
            secret=field.is_secret,
            needed=field.is_needed and field.type is not FieldType.INFO,
        )
        for field in provider.fields
    ]
