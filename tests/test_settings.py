"""Settings: where they come from, what is refused and in which words, and that the documented file is the truth."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from pushpull.config import flattened, load
from pushpull.errors import ConfigError
from pushpull.settings import Auth, Redis, Settings

ROOT = Path(__file__).parent.parent
DOCUMENTED = ROOT / "config" / "pushpull.toml"
SECRET = "s" * 32


def refused(**given: object) -> str:
    """What the ConfigError says when the settings are read from `environ`, `flags` or `file`."""
    with pytest.raises(ConfigError) as problem:
        load(**given)  # type: ignore[arg-type]
    return problem.value.message


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "pushpull.toml"
    path.write_text(text)
    return path


def test_nothing_given_is_the_defaults() -> None:
    settings, origins = load()

    assert settings == Settings()
    assert set(origins.values()) == {"default"}
    assert list(origins) == list(flattened(settings))


def test_the_documented_file_lists_exactly_the_settings_with_their_defaults() -> None:
    document = tomllib.loads(DOCUMENTED.read_text())
    listed = {f"{section}.{key}": value for section, table in document.items() for key, value in table.items()}
    defaults = {
        name: list(value) if isinstance(value, tuple) else value for name, value in flattened(Settings()).items()
    }

    assert listed == defaults
    assert list(listed) == list(defaults), "the order of the file is that of the settings"
    assert load(DOCUMENTED)[0] == Settings()


def test_every_setting_in_the_documented_file_is_explained() -> None:
    lines = DOCUMENTED.read_text().splitlines()
    settings = [place for place, line in enumerate(lines) if re.match(r"\w+ = ", line)]

    assert [lines[place] for place in settings if not lines[place - 1].startswith("# ")] == []


def test_a_later_source_wins_and_is_remembered(tmp_path: Path) -> None:
    file = written(tmp_path, '[server]\nhost = "10.0.0.1"\nport = 1\nworkers = 2\n')
    environ = {"PUSHPULL_SERVER__PORT": "2", "PUSHPULL_SERVER__WORKERS": "3"}

    settings, origins = load(file, environ, {"server.port": 3, "server.data_dir": None})

    assert (settings.server.host, settings.server.port, settings.server.workers) == ("10.0.0.1", 3, 3)
    assert origins["server.host"] == f"file {file}"
    assert origins["server.workers"] == "env PUSHPULL_SERVER__WORKERS"
    assert origins["server.port"] == "flag --port"
    assert origins["server.data_dir"] == "default"


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("PUSHPULL_SERVER__TOKEN_IN_QUERY", "true", "server.token_in_query", True),
        ("PUSHPULL_DELIVERY__BACKOFF", "3", "delivery.backoff", 3.0),
        ("PUSHPULL_LIMITS__FRAME_BYTES", "256 KiB", "limits.frame_bytes", 262_144),
        ("PUSHPULL_DELIVERY__TAIL_BYTES", "1mib", "delivery.tail_bytes", 1_048_576),
        ("PUSHPULL_LIMITS__BODY_BYTES", "1000", "limits.body_bytes", 1000),
        (
            "PUSHPULL_SERVER__ORIGINS",
            "http://a.example, http://b.example",
            "server.origins",
            ("http://a.example", "http://b.example"),
        ),
        ("PUSHPULL_SERVER__ORIGINS", '["http://a.example"]', "server.origins", ("http://a.example",)),
        ("PUSHPULL_SERVER__ORIGINS", "", "server.origins", ()),
    ],
)
def test_the_environment_speaks_in_text(variable: str, text: str, name: str, value: object) -> None:
    assert flattened(load(environ={variable: text})[0])[name] == value


def test_variables_without_a_section_are_not_settings() -> None:
    # What Kubernetes sets for a service called pushpull, and what the command line reads.
    assert load(environ={"PUSHPULL_PORT": "tcp://10.0.0.1:80", "PUSHPULL_URL": "http://x"})[0] == Settings()


def test_a_file_may_name_one_secret_where_a_list_is_meant(tmp_path: Path) -> None:
    assert load(written(tmp_path, f'[auth]\njwt_secret = "{SECRET}"\n'))[0].auth.jwt_secret == (SECRET,)


def test_all_problems_are_told_at_once_with_place_and_expectation(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        'port = 1\n[server]\nport = "80"\nhots = "x"\n[log]\nlevel = "loud"\n'
        "[cache]\nsize = 1\n[delivery]\nhysteresis = nan\n",
    )

    message = refused(file=file, environ={"PUSHPULL_LIMITS__MEMBERS": "0"}, flags={"server.port": 70_000})

    assert message.splitlines()[0] == "8 problems in the settings:"
    for line in (
        f"file {file}: 'port' is outside any section",
        f"file {file}: server.port '80': expected `int`, got `str`",
        f"file {file}: unknown key 'server.hots'; [server] has host, port",
        f"file {file}: log.level 'loud': expected one of debug, info, warning, error",
        f"file {file}: unknown section 'cache'; expected one of auth, delivery",
        f"file {file}: delivery.hysteresis nan: expected",
        "env PUSHPULL_LIMITS__MEMBERS: limits.members '0': expected `int` >= 1",
        "flag --port: server.port 70000: expected `int` <= 65535",
    ):
        assert line in message


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "fast", ""])
def test_a_rate_is_a_finite_positive_number(value: str) -> None:
    assert "limits.sends_per_s" in refused(environ={"PUSHPULL_LIMITS__SENDS_PER_S": value})


@pytest.mark.parametrize(
    ("text", "problem"),
    [("[server", "not TOML"), ("[server]\nport = 1\nport = 2\n", "not TOML"), ("\x00", "not TOML")],
)
def test_a_file_that_is_no_toml_is_refused_in_one_line(tmp_path: Path, text: str, problem: str) -> None:
    assert problem in refused(file=written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert (
        refused(file=tmp_path / "absent.toml")
        == f"file {tmp_path}/absent.toml: cannot be read: No such file or directory"
    )


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (
            {"DELIVERY__NOTIFY_INTERVAL_MS": "3000"},
            "delivery.notify_interval_ms 3000 is more than delivery.notify_interval_max_ms 2000",
        ),
        ({"LIMITS__BODY_BYTES": "1 MiB"}, "limits.body_bytes 1048576 is more than limits.frame_bytes 131072"),
        (
            {"SERVER__WORKERS": "3", "SERVER__WORKER_PORT": "65534"},
            "server.worker_port 65534 with 3 workers ends at 65536; expected 65535 at most",
        ),
        ({"SERVER__WORKERS": "3", "SERVER__WORKER_PORT": "8078"}, "8078 to 8080 holds server.port 8080"),
        ({"OFFLINE__WEBHOOK_URL": "ftp://x", "OFFLINE__WEBHOOK_SECRET": "x"}, "expected an http:// or https:// URL"),
        ({"OFFLINE__WEBHOOK_URL": "https://x.example"}, "offline.webhook_url is set without an offline.webhook_secret"),
        ({"OFFLINE__WEBHOOK_SECRET": "not base64!"}, "offline.webhook_secret is not base64"),
        (
            {"OFFLINE__WEBHOOK_SECRET": "whsec_c2hvcnQ="},
            "offline.webhook_secret is of 5 bytes; expected base64 of 24 to",
        ),
        ({"REDIS__DURABILITY": "replicated"}, "the embedded Redis has no replicas"),
        ({"REDIS__URL": "localhost:6379"}, "redis.url: expected one of redis://"),
        ({"SERVER__ORIGINS": "chat.example.org"}, "expected scheme://host[:port]"),
        ({"AUTH__JWT_ALGORITHMS": "none"}, "expected a list of HS256"),
        ({"AUTH__JWT_ALGORITHMS": ""}, "auth.jwt_algorithms is empty"),
        ({"AUTH__JWT_ALGORITHMS": "RS256", "AUTH__JWT_SECRET": SECRET}, "expected HS256 among them"),
        ({"AUTH__JWKS_URL": "https://x.example/jwks"}, "expected one with public keys"),
        ({"AUTH__PUBLIC_KEYS": "ssh-rsa AAAA", "AUTH__JWT_ALGORITHMS": "RS256"}, "expected a public key in PEM"),
    ],
)
def test_values_that_do_not_go_together_are_refused(environ: dict[str, str], expected: str) -> None:
    assert expected in refused(environ={f"PUSHPULL_{key}": value for key, value in environ.items()})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PUSHPULL_AUTH__JWT_SECRET", "hunter2"),
        ("PUSHPULL_AUTH__API_KEYS", "hunter2"),
        ("PUSHPULL_REDIS__URL", "hunter2"),
        ("PUSHPULL_AUTH__JWT_SECRET", '[{"hunter2": 1}]'),
    ],
)
def test_a_secret_is_never_in_an_error(variable: str, value: str) -> None:
    message = refused(environ={variable: value})

    assert variable in message
    assert "hunter2" not in message


def test_a_short_secret_is_named_by_its_place() -> None:
    message = refused(environ={"PUSHPULL_AUTH__JWT_SECRET": f"{SECRET},short"})

    assert message == "env PUSHPULL_AUTH__JWT_SECRET: auth.jwt_secret number 2 has 5 bytes; expected at least 32"


def test_secrets_are_not_in_the_repr() -> None:
    settings = Settings(
        auth=Auth(jwt_secret=("hunter2",), api_keys=("hunter2",)), redis=Redis(url="redis://:hunter2@x")
    )

    assert "hunter2" not in repr(settings)
    assert "api_keys='(set)'" in repr(settings)


def test_secrets_may_come_from_files(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("# the backend's\nkey-of-the-backend-1\n\nkey-of-the-backend-2\n")
    url = tmp_path / "url"
    url.write_text("redis://:p,w@example/0\n")

    settings, origins = load(
        written(tmp_path, f'[auth]\napi_keys_file = "{keys}"\n'), {"PUSHPULL_REDIS__URL_FILE": str(url)}
    )

    assert settings.auth.api_keys == ("key-of-the-backend-1", "key-of-the-backend-2")
    assert settings.redis.url == "redis://:p,w@example/0"
    assert origins["auth.api_keys"] == f"file {tmp_path}/pushpull.toml (api_keys_file)"


def test_several_pem_keys_may_come_from_one_file(tmp_path: Path) -> None:
    pem = "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----"
    keys = tmp_path / "keys.pem"
    keys.write_text(pem.format("AAAA") + "\n" + pem.format("BBBB") + "\n")

    settings, _ = load(
        environ={"PUSHPULL_AUTH__PUBLIC_KEYS_FILE": str(keys), "PUSHPULL_AUTH__JWT_ALGORITHMS": "HS256,EdDSA"}
    )

    assert settings.auth.public_keys == (pem.format("AAAA"), pem.format("BBBB"))


def test_a_secret_file_that_is_missing_or_empty_stops_the_start(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()

    assert "No such file" in refused(environ={"PUSHPULL_AUTH__JWT_SECRET_FILE": str(tmp_path / "absent")})
    assert "is empty" in refused(environ={"PUSHPULL_AUTH__JWT_SECRET_FILE": str(empty)})


def test_only_secrets_come_from_files(tmp_path: Path) -> None:
    assert "unknown key 'server.port_file'" in refused(environ={"PUSHPULL_SERVER__PORT_FILE": str(tmp_path)})
