"""Which file of a zip a row means: names in a zip may be in the encoding of whoever made it."""

import contextlib
import unicodedata
import zipfile
from collections import Counter

from wallpaint.dataset.names import other_names, plain_name
from wallpaint.errors import UserError

# Of names that are not marked UTF-8: what DOS, Windows, Macs and Unix used where, many of them one byte a letter.
ENCODINGS = (
    "utf-8 cp437 cp932 gb18030 cp949 big5hkscs euc_jp cp850 cp852 cp857 cp858 cp860 cp861 cp862 cp863 cp864 cp865 "
    "cp866 cp737 cp775 cp855 cp874 cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 koi8_r koi8_u "
    "mac_roman mac_latin2 mac_cyrillic mac_greek mac_turkish iso8859_2 iso8859_15 latin_1"
).split()


def name_entries(archive: zipfile.ZipFile, archive_name: str) -> tuple[dict[str, zipfile.ZipInfo], list[str]]:
    """Give a zip's files by their names, and those ENCODINGS that its names may be in.

    Only a name marked UTF-8 is sure. Others are in the encoding of the system that made the zip, which it does
    not say: what the rows name decides. zipfile reads them as cp437, which loses nothing.
    """
    entries: dict[str, zipfile.ZipInfo] = {}
    unsure = False
    for entry in archive.infolist():
        name, sure = plain_name(entry.filename), entry.flag_bits & 0x800 or entry.filename.isascii()
        if name in entries and entries[name].CRC != entry.CRC:
            raise UserError(f"{archive_name} holds {name!a:.99} twice, zip the dataset folder anew")
        if not entry.is_dir():
            entries[name], unsure = entry, unsure or not sure
    return entries, [*ENCODINGS] if unsure else []


def add_small_names(entries: dict[str, zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Entries also by their names without capitals, where one alone is called so."""
    counts = Counter(name.casefold() for name in entries)
    return {name.casefold(): entry for name, entry in entries.items() if counts[name.casefold()] == 1} | entries


def find_entry(
    entries: dict[str, zipfile.ZipInfo], encodings: list[str], where: str, named: str
) -> zipfile.ZipInfo | None:
    """Find what a row names in a folder of the zip; the encoding that tells it comes first from then on."""
    forms = [plain_name(form) for form in other_names(named)]
    for name in (*(where + form for form in forms), (where + forms[0]).casefold()):
        if name in entries:
            return entries[name]
    for encoding in encodings:
        for form in forms:
            for spelled in {form, unicodedata.normalize("NFD", form)}:
                with contextlib.suppress(UnicodeError):
                    # As zipfile reads the bytes; a letter's second byte may be a backslash.
                    as_read = plain_name(spelled.encode(encoding).decode("cp437"))
                    if entry := entries.get(where + as_read):
                        encodings.insert(0, encodings.pop(encodings.index(encoding)))
                        return entry
    return None
