/* Makes bytes of a window's entries, in the order of their keys: what `encoded_in_python` in
   state/window_entries.py does.

   Entries, their keys and values were made one by one over time, and lie anywhere in memory. To wait for each takes
   longer than all that is done with it, so those of a block are fetched together before they are looked at. */

#include "native.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 16 };

static Py_ssize_t block_of(Py_ssize_t first, Py_ssize_t count) { return count - first < BLOCK ? count - first : BLOCK; }

/* ------------------------------------------------------------------ entries */

/* Where the entries' attributes are: a class with slots knows that. */
typedef struct {
    PyTypeObject *type;
    Py_ssize_t key, value, timestamp, dirty;
} Layout;

static int find_slot(PyTypeObject *type, PyObject *name, Py_ssize_t *offset) {
    PyObject *slot = PyObject_GetAttr((PyObject *)type, name);
    int found = slot && Py_IS_TYPE(slot, &PyMemberDescr_Type) &&
                ((PyMemberDescrObject *)slot)->d_member->type == T_OBJECT_EX;
    if (found)
        *offset = ((PyMemberDescrObject *)slot)->d_member->offset;
    else if (slot)
        PyErr_Format(PyExc_TypeError, "%s has no slot %U", type->tp_name, name);
    Py_XDECREF(slot);
    return found;
}

static int find_slots(PyTypeObject *type, Layout *layout) {
    layout->type = type;
    return find_slot(type, names.key, &layout->key) && find_slot(type, names.value, &layout->value) &&
           find_slot(type, names.timestamp, &layout->timestamp) && find_slot(type, names.dirty, &layout->dirty);
}

static PyObject **slot_of(PyObject *entry, Py_ssize_t offset) { return (PyObject **)((char *)entry + offset); }

/* An entry lies in two lines of the processor's caches at most. */
static void prefetch_entry(const Layout *layout, PyObject *entry) {
    __builtin_prefetch(entry);
    __builtin_prefetch((char *)entry + layout->type->tp_basicsize - 1);
}

/* An entry's parts: owned, for what encodes a value may change the entry. */
typedef struct {
    PyObject *key, *value, *timestamp;
} Parts;

static void drop_parts(Parts *parts) {
    Py_CLEAR(parts->key);
    Py_CLEAR(parts->value);
    Py_CLEAR(parts->timestamp);
}

/* Take an entry's parts, and have it not dirty any more; return whether it has all of them. */
static int read_entry(const Layout *layout, PyObject *entry, Parts *parts) {
    parts->key = Py_XNewRef(*slot_of(entry, layout->key));
    parts->value = Py_XNewRef(*slot_of(entry, layout->value));
    parts->timestamp = Py_XNewRef(*slot_of(entry, layout->timestamp));
    Py_XSETREF(*slot_of(entry, layout->dirty), Py_NewRef(Py_False));
    if (parts->key && PyBytes_Check(parts->key) && parts->value && parts->timestamp)
        return 1;
    PyErr_SetString(PyExc_TypeError, "an entry has a key in bytes, a value and a timestamp");
    return 0;
}

/* ------------------------------------------------------------------ the order of keys */

/* An entry and its key, borrowed, and eight bytes of that: those after what all keys begin with. */
typedef struct {
    uint64_t head;
    PyObject *entry, *key;
} Ordered;

static Py_ssize_t common(PyObject *one, PyObject *other, Py_ssize_t most) {
    Py_ssize_t same = 0;
    if (most > PyBytes_GET_SIZE(other))
        most = PyBytes_GET_SIZE(other);
    while (same < most && PyBytes_AS_STRING(one)[same] == PyBytes_AS_STRING(other)[same])
        same++;
    return same;
}

static uint64_t head_of(PyObject *key, Py_ssize_t from) {
    uint64_t head = 0;
    for (Py_ssize_t at = from; at < from + (Py_ssize_t)sizeof(head); at++)
        head = head << 8 | (at < PyBytes_GET_SIZE(key) ? (unsigned char)PyBytes_AS_STRING(key)[at] : 0);
    return head;
}

static int check_block(const Layout *layout, PyObject *const *entries, Py_ssize_t count) {
    for (Py_ssize_t i = 0; i < count; i++)
        prefetch_entry(layout, entries[i]);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *key = Py_IS_TYPE(entries[i], layout->type) ? *slot_of(entries[i], layout->key) : NULL;
        if (key == NULL) {
            PyErr_Format(PyExc_TypeError, "no %s with a key: %R", layout->type->tp_name, entries[i]);
            return 0;
        }
        __builtin_prefetch(key);
    }
    for (Py_ssize_t i = 0; i < count; i++)
        if (!PyBytes_Check(*slot_of(entries[i], layout->key))) {
            PyErr_SetString(PyExc_TypeError, "a key is to be bytes");
            return 0;
        }
    return 1;
}

/* Fill in the entries as they come; return whether they are what they are to be. */
static int fill(const Layout *layout, PyObject *const *entries, Py_ssize_t count, Ordered *filled) {
    Py_ssize_t same = PY_SSIZE_T_MAX;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (i % BLOCK == 0 && !check_block(layout, entries + i, block_of(i, count)))
            return 0;
        filled[i] = (Ordered){.entry = entries[i], .key = *slot_of(entries[i], layout->key)};
        same = common(filled[0].key, filled[i].key, same);
    }
    for (Py_ssize_t i = 0; i < count; i++)
        filled[i].head = head_of(filled[i].key, same);
    return 1;
}

/* Sort by one byte of the heads, keeping the order of equal ones; do nothing, and say so, if all are equal. */
static int sort_by_byte(const Ordered *from, Ordered *to, Py_ssize_t count, int shift) {
    Py_ssize_t places[256] = {0}, before = 0;
    for (Py_ssize_t i = 0; i < count; i++)
        places[from[i].head >> shift & 255]++;
    if (places[from[0].head >> shift & 255] == count)
        return 0;
    for (int byte = 0; byte < 256; byte++) {
        Py_ssize_t here = places[byte];
        places[byte] = before;
        before += here;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        to[places[from[i].head >> shift & 255]++] = from[i];
    return 1;
}

static int compare(const void *one, const void *other) {
    PyObject *a = ((const Ordered *)one)->key, *b = ((const Ordered *)other)->key;
    Py_ssize_t a_size = PyBytes_GET_SIZE(a), b_size = PyBytes_GET_SIZE(b);
    int order = memcmp(PyBytes_AS_STRING(a), PyBytes_AS_STRING(b), a_size < b_size ? a_size : b_size);
    return order ? order : (a_size > b_size) - (a_size < b_size);
}

/* Return one of both, sorted: by heads, byte by byte, which guesses no branch wrong, and by keys where heads are
   equal. */
static const Ordered *sort(Ordered *ordered, Ordered *spare, Py_ssize_t count) {
    for (int shift = 0; shift < 64 && count; shift += 8)
        if (sort_by_byte(ordered, spare, count, shift)) {
            Ordered *sorted = spare;
            spare = ordered;
            ordered = sorted;
        }
    for (Py_ssize_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && ordered[end].head == ordered[first].head; end++)
            ;
        if (end - first > 1)
            qsort(ordered + first, end - first, sizeof(*ordered), compare);
    }
    return ordered;
}

/* ------------------------------------------------------------------ rows */

/* What goes around keys, and what encodes values; the columns of the log, and by place what is stored. */
typedef struct {
    PyObject *serialize;
    const char *before, *after;
    Py_ssize_t before_size, after_size;
    PyObject *keys, *values, *changes;
} Rows;

static const char KEY_END[] = {0, 0}, ESCAPED_ZERO[] = {0, (char)0xff};

/* Append bytes; return where the next ones belong. */
static char *append_bytes(char *to, const char *data, Py_ssize_t size) {
    memcpy(to, data, size);
    return to + size;
}

/* Key, slot. */
static PyObject *logged_key(const Rows *rows, PyObject *key) {
    Py_ssize_t size = PyBytes_GET_SIZE(key);
    PyObject *made = PyBytes_FromStringAndSize(NULL, size + rows->after_size);
    if (made) {
        char *end = append_bytes(PyBytes_AS_STRING(made), PyBytes_AS_STRING(key), size);
        append_bytes(end, rows->after, rows->after_size);
    }
    return made;
}

/* Segment, key with its zeros escaped, its end, slot. */
static PyObject *place_of(const Rows *rows, PyObject *key) {
    const char *data = PyBytes_AS_STRING(key);
    Py_ssize_t size = PyBytes_GET_SIZE(key), zeros = 0;
    if (memchr(data, 0, size))
        for (Py_ssize_t i = 0; i < size; i++)
            zeros += data[i] == 0;
    Py_ssize_t whole = rows->before_size + size + zeros + (Py_ssize_t)sizeof(KEY_END) + rows->after_size;
    PyObject *made = PyBytes_FromStringAndSize(NULL, whole);
    if (made == NULL)
        return NULL;
    char *end = append_bytes(PyBytes_AS_STRING(made), rows->before, rows->before_size);
    if (zeros == 0)
        end = append_bytes(end, data, size);
    else
        for (Py_ssize_t i = 0; i < size; i++)
            end = data[i] ? append_bytes(end, data + i, 1) : append_bytes(end, ESCAPED_ZERO, sizeof(ESCAPED_ZERO));
    append_bytes(append_bytes(end, KEY_END, sizeof(KEY_END)), rows->after, rows->after_size);
    return made;
}

/* Event time, big-endian, and the value's bytes; None for no value. */
static PyObject *stored_value(const Rows *rows, const Parts *parts) {
    if (parts->value == Py_None)
        return Py_NewRef(Py_None);
    long long time = PyLong_AsLongLong(parts->timestamp);
    PyObject *data = PyErr_Occurred() ? NULL : PyObject_CallOneArg(rows->serialize, parts->value);
    if (data && !PyBytes_Check(data)) {
        if (PyObject_CheckBuffer(data))
            Py_SETREF(data, PyBytes_FromObject(data));
        else {
            PyErr_Format(PyExc_TypeError, "a value is to be encoded as bytes, not %s", Py_TYPE(data)->tp_name);
            Py_CLEAR(data);
        }
    }
    enum { TIME = 8 };
    PyObject *made = data ? PyBytes_FromStringAndSize(NULL, TIME + PyBytes_GET_SIZE(data)) : NULL;
    if (made) {
        char *to = PyBytes_AS_STRING(made);
        for (int shift = 8 * (TIME - 1); shift >= 0; shift -= 8)
            *to++ = (char)((unsigned long long)time >> shift);
        append_bytes(to, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data));
    }
    Py_XDECREF(data);
    return made;
}

static int add_row(const Rows *rows, const Parts *parts, Py_ssize_t row) {
    PyObject *value = stored_value(rows, parts), *key = value ? logged_key(rows, parts->key) : NULL;
    PyObject *place = key ? place_of(rows, parts->key) : NULL;
    int done = place && PyDict_SetItem(rows->changes, place, value) == 0;
    Py_XDECREF(place);
    /* The lists take them over, whatever came of it. */
    if (value)
        PyList_SET_ITEM(rows->values, row, value);
    if (key)
        PyList_SET_ITEM(rows->keys, row, key);
    return done;
}

static void prefetch_block(const Layout *layout, const Ordered *ordered, Py_ssize_t count) {
    for (Py_ssize_t i = 0; i < count; i++) {
        prefetch_entry(layout, ordered[i].entry);
        __builtin_prefetch(ordered[i].key);
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        __builtin_prefetch(*slot_of(ordered[i].entry, layout->value));
        __builtin_prefetch(*slot_of(ordered[i].entry, layout->timestamp));
    }
}

static int add_rows(const Rows *rows, const Layout *layout, const Ordered *ordered, Py_ssize_t count) {
    int done = 1;
    for (Py_ssize_t i = 0; i < count && done; i++) {
        if (i % BLOCK == 0)
            prefetch_block(layout, ordered + i, block_of(i, count));
        Parts parts;
        done = read_entry(layout, ordered[i].entry, &parts) && add_row(rows, &parts, i);
        drop_parts(&parts);
    }
    return done;
}

PyObject *encode_entries(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *type, *entries;
    Rows rows;
    Layout layout;
    if (!PyArg_ParseTuple(args, "O!O!Oy#y#O!", &PyType_Type, &type, &PyTuple_Type, &entries, &rows.serialize,
                          &rows.before, &rows.before_size, &rows.after, &rows.after_size, &PyDict_Type,
                          &rows.changes) ||
        !find_slots((PyTypeObject *)type, &layout))
        return NULL;
    Py_ssize_t count = PyTuple_GET_SIZE(entries);
    Ordered *ordered = PyMem_New(Ordered, 2 * count);
    if (ordered == NULL)
        return PyErr_NoMemory();
    rows.keys = PyList_New(count);
    rows.values = PyList_New(count);
    int done = rows.keys && rows.values && fill(&layout, &PyTuple_GET_ITEM(entries, 0), count, ordered) &&
               add_rows(&rows, &layout, sort(ordered, ordered + count, count), count);
    PyMem_Free(ordered);
    PyObject *columns = done ? PyTuple_Pack(2, rows.keys, rows.values) : NULL;
    Py_XDECREF(rows.keys);
    Py_XDECREF(rows.values);
    return columns;
}
