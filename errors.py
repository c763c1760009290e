"""Every error that a user can meet, one class for each thing they can do about it.

    raise AnnotationError("clip.pkl: `cameras` has shape (90, 4); expected (90, 3)")

A message is one line: the file and the field, the value met, what was expected, what to do.
The command line prints it without a traceback; any other exception is a bug and keeps its own.
Covered by the tests of the modules that raise them.
"""

from __future__ import annotations


class PoseKineticsError(Exception):
    """Base of all errors caused by input, the system or the network, never by a bug of ours."""


class ClipNameError(PoseKineticsError, ValueError):
    """A file name or clip id that is not of the form `<video_id>_<start>_<end>`."""


class InputError(PoseKineticsError, ValueError):
    """Something given to draw that holds no clip, is damaged, or must not be touched."""


class AnnotationError(PoseKineticsError, ValueError):
    """A pickle that cannot be read, or whose arrays are missing, misshapen or not finite."""


class UnsafePickleError(AnnotationError):
    """A pickle that asks for more than plain data; it was refused before anything ran."""


class FacesError(PoseKineticsError, ValueError):
    """The mesh's triangles are missing, unreadable or do not fit its vertices."""


class BodyModelError(PoseKineticsError, ValueError):
    """A body model or joint regressor that is missing, misshapen or incomplete."""


class VideoNotFoundError(PoseKineticsError, FileNotFoundError):
    """No video file for this clip in any of the places that were looked in."""


class VideoReadError(PoseKineticsError, OSError):
    """A file that is empty, is not a video, or cannot be decoded."""


class VideoTruncatedError(VideoReadError):
    """A video that ends before its own header says that it does."""


class ClipCrashError(PoseKineticsError, RuntimeError):
    """The process that drew the clip ended without a word: killed, crashed, out of memory."""


class ClipTimeoutError(PoseKineticsError, TimeoutError):
    """The clip took longer than it may; its process was ended."""


class SchedulerError(PoseKineticsError, ConnectionError):
    """The cluster's scheduler cannot be reached, or its workers cannot run the tool."""


class OptionError(PoseKineticsError, ValueError):
    """An option with a value that it cannot have."""


class DownloadError(PoseKineticsError, OSError):
    """A clip that could not be downloaded; of no kind below, so asking again may help."""


class DownloadInterruptedError(DownloadError):
    """What may pass: no answer in time, a broken connection, HTTP 429 and 5xx. It was retried."""


class DownloadRefusedError(DownloadError):
    """The source does not answer this machine or account: HTTP 401 and 403, a test for robots."""


class NotAVideoError(DownloadError):
    """The source answered with something else, such as a web page."""


class VideoUnavailableError(DownloadError):
    """Base of what will not pass by itself. It is remembered, so that a batch asks once."""


class VideoRemovedError(VideoUnavailableError):
    """The video or its account is gone: deleted, made unavailable, HTTP 404 and 410."""


class VideoPrivateError(VideoUnavailableError):
    """The video is for chosen accounts only."""


class VideoBlockedInCountryError(VideoUnavailableError):
    """The video is not shown in the country that this machine asks from."""


class VideoAgeRestrictedError(VideoUnavailableError):
    """The video is shown only to accounts of full age."""


class VideoCopyrightError(VideoUnavailableError):
    """The video was taken down or blocked for copyright."""


class ClipOutsideVideoError(VideoUnavailableError):
    """The video ends before the clip starts."""


class OutputError(PoseKineticsError, OSError):
    """A result that could not be written: no permission, no space, no such folder."""


class ViewerError(PoseKineticsError, RuntimeError):
    """A recording that could not be shown."""


class MissingDependencyError(PoseKineticsError, ImportError):
    """An optional part is not installed; the message gives the command that installs it."""
