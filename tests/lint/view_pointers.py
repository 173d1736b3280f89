"""Walks struct view inside gdb and prints each pointer that is not one to characters."""
import gdb

found, fields = [], 0


def is_text(kind):
    """char or const char: by its name, since bool, uint8_t and, for gdb, void have its size."""
    target = kind.target().strip_typedefs().unqualified()
    return target.code == gdb.TYPE_CODE_INT and target.name == "char"


def walk(kind, path):
    global fields
    kind = kind.strip_typedefs().unqualified()
    if kind.code == gdb.TYPE_CODE_ARRAY:
        walk(kind.target(), path + "[]")
    elif kind.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
        for field in kind.fields():
            walk(field.type, path + "." + (field.name or "(unnamed)"))
    else:
        fields += 1
        if kind.code == gdb.TYPE_CODE_PTR and not is_text(kind):
            found.append(path + ": " + str(kind))


walk(gdb.lookup_type("struct view"), "view")
print("\n".join(found) if found else "struct view: %d fields, no pointer but to strings" % fields)
