"""What a tracker's failure means: its own words, and whether waiting can help."""

import re

from harness.system.secrets import redacted

_STATUS = re.compile(r"error code (\d{3})\b|too many (\d{3}) error responses")
_CERTIFICATE = re.compile(r"CERTIFICATE_VERIFY_FAILED|SSLError|SSL:|certificate", re.IGNORECASE)
_PLAIN = re.compile(r"WRONG_VERSION_NUMBER")
_ADDRESS = re.compile(r"Invalid url|InvalidURL|LocationParseError|No host supplied", re.IGNORECASE)
_NO_MLFLOW = re.compile(r"not in a valid JSON format|Expecting value: line")
_INACTIVE = re.compile(r"must be in the 'active' state|is deleted|deleted_experiment|in deleted")
_PASSWORD = re.compile(
    r"password authentication failed|Access denied for user|Login failed for user"
)
_SETTING = re.compile(
    r"Failed to convert .* for MLFLOW_|credential configuration failed|value must be one of|"
    r"must not be set|value must be either|in excess of the maximum allowable|"
    r"Attempted to set connect timeout|No module named"
)
"""What MLflow's client says of its own settings, without having asked anybody."""

_FILE = re.compile(
    r"unable to open database file|file is not a database|readonly database|out-of-date database|"
    r"disk image is malformed"
)
PERMANENT_STATUS = (400, 401, 403, 404, 405, 410)


def status_of(error: BaseException) -> int | None:
    """HTTP status of a server's refusal, where the error holds it."""
    text = str(error)
    match = _STATUS.search(text)
    if match:
        return int(match[1] or match[2])
    code = getattr(error, "get_http_status_code", None)
    named = getattr(error, "json", None)
    if callable(code) and isinstance(named, dict):
        return int(code())
    return 401 if "not authenticated" in text else None


def is_permanent(error: BaseException) -> bool:
    """Whether the same request can never succeed."""
    status = status_of(error)
    if status is not None:
        return status in PERMANENT_STATUS
    patterns = (_CERTIFICATE, _ADDRESS, _NO_MLFLOW, _INACTIVE, _PASSWORD, _SETTING, _FILE)
    return any(pattern.search(str(error)) for pattern in patterns)


def is_of_settings(error: BaseException) -> bool:
    """Whether a variable of the environment sets MLflow's client to what it cannot do."""
    return status_of(error) is None and _SETTING.search(str(error)) is not None


def words_of(error: BaseException) -> str:
    """What happened, for a sentence that begins with the tracker; its own words in full."""
    text = redacted(str(error)).strip() or type(error).__name__
    status = status_of(error)
    if status is not None:
        return f"{STATUS_WORDS.get(status, f'answers with error {status}')}: {text}"
    for pattern, words in PATTERN_WORDS:
        if pattern.search(text):
            return f"{words}: {text}"
    if isinstance(error, TimeoutError) and text.startswith("took longer"):
        return text
    down = isinstance(error, OSError) or "API request to" in text or "Max retries" in text
    return f"{'does not answer' if down else 'failed'}: {text}"


STATUS_WORDS = {
    401: "refuses the user or the password (MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD)",
    403: "refuses this request",
    404: "has nothing of MLflow at this address",
}
BAD_CERTIFICATE = (
    "has a certificate that is not accepted (MLFLOW_TRACKING_SERVER_CERT_PATH names another "
    "authority)"
)
DELETED = (
    "has the experiment or the run no more, it was deleted there; restore it (mlflow experiments "
    "restore, mlflow runs restore) before `harness sync`"
)
PATTERN_WORDS = (
    (_PLAIN, "speaks http where https was asked for"),
    (_CERTIFICATE, BAD_CERTIFICATE),
    (_NO_MLFLOW, "is no MLflow"),
    (_INACTIVE, DELETED),
)
