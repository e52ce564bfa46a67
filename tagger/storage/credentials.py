"""Credentials that a store no longer accepts: they end the run once, not photo by photo."""

import re

from tagger.errors import CredentialsError

# S3's codes, https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html. A 403 with
# AccessDenied is not among them: a policy may allow one photo and not another.
_EXPIRED = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken",
     "InvalidAccessKeyId", "RequestExpired"}
)  # fmt: skip
_REMEDY = {
    "s3": "sign in again (aws sso login), or renew AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
    "AWS_SESSION_TOKEN",
    "gs": "sign in again (gcloud auth application-default login), or renew the file in "
    "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "sign in again (az login), or renew AZURE_STORAGE_ACCOUNT_KEY",
}


def check_code(code: str, scheme: str) -> None:
    """Check whether an error code means that no further request can succeed.

    Raises:
        CredentialsError: it does.
    """
    if code in _EXPIRED:
        raise refused(f"the credentials have expired or are no longer valid ({code})", scheme)
    if code == "RequestTimeTooSkewed":
        raise CredentialsError(
            f"{scheme}://: the server refuses requests of this time; set the clock of this machine"
        )


def check_text(text: str, scheme: str) -> None:
    """As :func:`check_code`, for a message that may quote the server's XML."""
    code = re.search(r"<Code>(\w+)</Code>", text)
    check_code(code[1] if code else "", scheme)


def refused(why: str, scheme: str) -> CredentialsError:
    """The error that ends the run, with the remedy."""
    return CredentialsError(
        f"{scheme}://: {why}; {_REMEDY[scheme]}, and run again: what was done is kept"
    )
