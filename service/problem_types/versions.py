"""Models and versions: what there is, loading, switching, files and samples."""

from service.errors import ProblemType

FIXED_CONFIGURATION = ProblemType(
    "fixed-configuration",
    400,
    "Configuration cannot be changed",
    "A request to load a model gives a configuration that differs from the running one. Settings "
    "are fixed when the service starts; only which version serves can be changed.",
    "Give nothing but `version_policy` with one specific version.",
)
NO_SUCH_MODEL = ProblemType(
    "no-such-model",
    404,
    "No such model",
    "The path names another model than the one that is served here. A service serves one model.",
    "Use the name that `detail` and `GET /v1/models` give.",
    ("DIGITSERVE_MODEL",),
)
NO_SUCH_VERSION = ProblemType(
    "no-such-version",
    404,
    "No such version",
    "The store has no version of this number; it may have been removed, or never published.",
    "Use a version that `GET /v1/models/<name>` lists.",
)
VERSION_NOT_SERVING = ProblemType(
    "version-not-serving",
    404,
    "Version does not serve",
    "The request names a version under `/v2` that does not serve, or has not served here. No "
    "answer comes from another version than the one requested.",
    "Leave the version out of the path, or use the one that `GET /v2/models/<name>` gives.",
)
NO_SUCH_FILE = ProblemType(
    "no-such-file",
    404,
    "No such file",
    "The version has no public file of this name.",
    "Use one of the files that `detail` lists.",
)
NO_SAMPLES = ProblemType(
    "no-samples",
    404,
    "No samples",
    "The version that serves was published without sample images.",
    "Publish a version with samples, as `python -m export` does.",
)
NO_SUCH_SAMPLE = ProblemType(
    "no-such-sample",
    404,
    "No such sample",
    "None of the version's sample images has the requested label.",
    "Use one of the labels that `detail` lists.",
)
VERSION_FAILED_CHECK = ProblemType(
    "version-failed-check",
    409,
    "Version failed a check",
    "The version was not loaded because it failed one of the checks that every version passes "
    "before it serves; `detail` names the check. The version that served before still does.",
    "Publish the version again, or activate another one.",
)
VERSION_IS_WORSE = ProblemType(
    "version-is-worse",
    409,
    "Version is worse than the current one",
    "The comparison with the version before it found the version worse, or its accuracy on its "
    "test images is lower than that of the current version, by more than chance; `detail` has the "
    "numbers. The current version still serves.",
    'Send `{"force": true}`, or under /v2 `{"parameters": {"force": true}}`, to activate it all '
    "the same; a rollback needs none.",
)
BROKEN_VERSION = ProblemType(
    "broken-version",
    409,
    "Broken version",
    "A file of the version is missing, damaged, or not the one that its card describes.",
    "Publish the version again, or restore its files from a backup.",
)
VERSION_REPLACED = ProblemType(
    "version-replaced",
    409,
    "Version was replaced meanwhile",
    "Another version took its place, or its memory was released, between the request and its "
    "answer; or a tensor has the shape of the version that served when it arrived, and the one "
    "that took its place takes another. Image files are prepared again for that one by themselves.",
    "Send the request again.",
    retry=True,
)
NO_PREVIOUS_VERSION = ProblemType(
    "no-previous-version",
    409,
    "Nothing to go back to",
    "No version served before the current one, or it is no longer in the store.",
    "Activate a version by its number instead.",
)
SWITCH_NOT_RECORDED = ProblemType(
    "switch-not-recorded",
    409,
    "Not recorded",
    "The store could not be written, so the switch was not made: after a restart another version "
    "would have served.",
    "Make the folder of the models writable for the service, and free space on its disk.",
    ("DIGITSERVE_MODELS",),
    retry=True,
)
SWITCH_UNDER_WAY = ProblemType(
    "switch-under-way",
    409,
    "Another switch is under way",
    "One version is loaded at a time. Another switch, which `detail` names, did not end while this "
    "request waited; it ends at its deadline, three times the time that a load may take.",
    "Send the request again once that switch has ended; `GET /v1/status` reports how it did.",
    ("DIGITSERVE_LOAD_TIMEOUT",),
    retry=True,
)
VERSION_IN_USE = ProblemType(
    "version-in-use",
    409,
    "Version in use",
    "The version serves, and a service without a model could not answer.",
    "Load another version first, or stop the service.",
)
NOT_ENOUGH_MEMORY = ProblemType(
    "not-enough-memory",
    503,
    "Not enough memory",
    "Loading a version to compare it would leave less free memory than the service keeps in "
    "reserve.",
    "Try again when memory is free, give the service more, or lower the reserve.",
    ("DIGITSERVE_MEMORY_RESERVE",),
    retry=True,
)
STORE_UNREADABLE = ProblemType(
    "store-unreadable",
    503,
    "Store not readable",
    "The folder of the models cannot be read: it was moved, its disk is not mounted, its "
    "permissions changed, or a read takes longer than it may. Predictions are still answered.",
    "Make the folder readable for the service; if it is a network file system, see that its server "
    "answers.",
    ("DIGITSERVE_MODELS", "DIGITSERVE_STORE_TIMEOUT"),
    retry=True,
)
SAMPLES_UNREADABLE = ProblemType(
    "samples-unreadable",
    503,
    "Samples not readable",
    "The file with the version's sample images is missing or damaged. Predictions are still "
    "answered.",
    "Restore the file, or publish the version again.",
    retry=True,
)
