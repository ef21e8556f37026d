/* Takes records off a queue, decoded: what `taking_in_python` in runtime/taking.py does, line by line.

   What is rare is left to Python: what cannot be decoded, is large, or has a time of its own. */

#include "native.h"

/* runtime/decoding.py: LAST_TIME_MS. */
static const long long LAST_TIME_MS = 253402300799999;

/* What a queue's records are taken with, for as long as it lives; and a turn of it. */
#define REFERENCES(X)                                                                                        \
    X(queue) X(taker) X(time) X(messages) X(popleft) X(blocked) X(schedules) X(punctuate) X(decoding)         \
    X(decode_key) X(decode_value) X(extract) X(head) X(last) X(result)

#define REFERENCE(name) PyObject *name;
typedef struct {
    PyObject_HEAD
    REFERENCES(REFERENCE)
    /* Of a turn: records that may be looked at yet, and that were taken; times in ms. */
    Py_ssize_t left, taken;
    long long until, partition_time, stream;
    int under_way, by_python;
} Taking;

static int Taking_traverse(Taking *self, visitproc visit, void *arg) {
#define VISIT(name) Py_VISIT(self->name);
    REFERENCES(VISIT)
    return 0;
}

static int Taking_clear(Taking *self) {
#define CLEAR(name) Py_CLEAR(self->name);
    REFERENCES(CLEAR)
    return 0;
}

static void Taking_dealloc(Taking *self) {
    PyObject_GC_UnTrack(self);
    Taking_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* Its list, for it costs less to see whether that is empty. */
static PyObject *schedules_of(PyObject *time) {
    PyObject *punctuations = PyObject_GetAttr(time, names.stream_punctuations);
    PyObject *schedules = punctuations ? PyObject_GetAttr(punctuations, names.schedules) : NULL;
    Py_XDECREF(punctuations);
    if (schedules && !PyList_Check(schedules)) {
        PyErr_SetString(PyExc_TypeError, "schedules are to be a list");
        Py_CLEAR(schedules);
    }
    return schedules;
}

static PyObject *Taking_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    PyObject *queue, *taker, *decoding;
    static char *parameters[] = {"", "", "", NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO:Taking", parameters, &queue, &taker, &decoding))
        return NULL;
    Taking *self = (Taking *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->queue = Py_NewRef(queue);
    self->taker = Py_NewRef(taker);
    self->decoding = Py_NewRef(decoding);
    if ((self->messages = PyObject_GetAttr(queue, names.messages)) &&
        (self->popleft = PyObject_GetAttr(self->messages, names.popleft)) &&
        (self->time = PyObject_GetAttr(taker, names.time)) &&
        (self->blocked = PyObject_GetAttr(taker, names.blocked)) &&
        (self->punctuate = PyObject_GetAttr(taker, names.punctuate_stream)) &&
        (self->decode_key = PyObject_GetAttr(decoding, names.key)) &&
        (self->decode_value = PyObject_GetAttr(decoding, names.value)) &&
        (self->extract = PyObject_GetAttr(decoding, names.extract)) && (self->schedules = schedules_of(self->time)))
        return (PyObject *)self;
    Py_DECREF(self);
    return NULL;
}

static int number_of(PyObject *owner, PyObject *name, long long *number) {
    PyObject *found = PyObject_GetAttr(owner, name);
    *number = found ? PyLong_AsLongLong(found) : -1;
    Py_XDECREF(found);
    return !PyErr_Occurred();
}

static int set_number(PyObject *owner, PyObject *name, long long number) {
    PyObject *made = PyLong_FromLongLong(number);
    int failed = made == NULL || PyObject_SetAttr(owner, name, made) < 0;
    Py_XDECREF(made);
    return !failed;
}

/* Return whether an object that is owned is true; -1 with an exception, for which NULL stands, too. */
static int is_true(PyObject *found) {
    int truth = found ? PyObject_IsTrue(found) : -1;
    Py_XDECREF(found);
    return truth;
}

/* Fire what stream time makes due; return whether that blocks the taker, -1 with an exception. */
static int punctuate(Taking *self) {
    return PyList_GET_SIZE(self->schedules) ? is_true(PyObject_CallNoArgs(self->punctuate)) : 0;
}

/* Begin a turn. */
static PyObject *Taking_call(Taking *self, PyObject *args, PyObject *kwargs) {
    static char *parameters[] = {"", "", NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "nL:Taking", parameters, &self->left, &self->until))
        return NULL;
    int has_large = is_true(PyObject_GetAttr(self->queue, names.has_large));
    Py_XSETREF(self->head, PyObject_GetAttr(self->queue, names.head));
    if (has_large < 0 || self->head == NULL ||
        !number_of(self->queue, names.partition_time, &self->partition_time) ||
        !number_of(self->time, names.stream, &self->stream))
        return NULL;
    if (self->head == Py_None)
        Py_CLEAR(self->head);
    Py_CLEAR(self->last);
    self->taken = 0;
    self->by_python = has_large || self->extract != Py_None;
    self->under_way = 1;
    Py_ssize_t waiting = PyObject_Size(self->messages) + (self->head != NULL);
    if (self->left > waiting)
        self->left = waiting;
    return Py_NewRef((PyObject *)self);
}

/* ------------------------------------------------------------------ one record */

/* Its parts: owned. */
typedef struct {
    PyObject *message, *key, *value, *timestamp, *headers;
} Record;

static void drop_parts(Record *record) {
    Py_CLEAR(record->key);
    Py_CLEAR(record->value);
    Py_CLEAR(record->timestamp);
    Py_CLEAR(record->headers);
}

static void drop(Record *record) {
    Py_CLEAR(record->message);
    drop_parts(record);
}

static void own_parts(Record *record) {
    Py_INCREF(record->key);
    Py_INCREF(record->value);
    Py_INCREF(record->timestamp);
    Py_INCREF(record->headers);
}

/* Read a message's attributes; return whether that succeeded. */
static int read_message(Record *record) {
    PyObject *message = record->message;
    if (Py_IS_TYPE(message, &Message_type)) {
        Message *known = (Message *)message;
        record->key = Py_NewRef(known->key);
        record->value = Py_NewRef(known->value);
        record->timestamp = Py_NewRef(known->timestamp);
        record->headers = Py_NewRef(known->headers);
        return 1;
    }
    return (record->key = PyObject_GetAttr(message, names.key)) &&
           (record->value = PyObject_GetAttr(message, names.value)) &&
           (record->timestamp = PyObject_GetAttr(message, names.timestamp)) &&
           (record->headers = PyObject_GetAttr(message, names.headers));
}

/* Decode what is there; return whether that succeeded. */
static int decode(PyObject *decoder, PyObject **part) {
    if (decoder == Py_None || *part == Py_None)
        return 1;
    PyObject *decoded = PyObject_CallOneArg(decoder, *part);
    Py_SETREF(*part, decoded);
    return decoded != NULL;
}

/* What became of a record, or of a turn. */
typedef enum { FAILED = -1, NOTHING, SOMETHING } Outcome;

/* Fill in what `decoding(message, partition_time)` returns: key, value, timestamp and headers, or None. */
static Outcome decode_in_python(Taking *self, Record *record) {
    PyObject *decoded = PyObject_CallFunction(self->decoding, "OL", record->message, self->partition_time);
    if (decoded == NULL || decoded == Py_None) {
        Py_XDECREF(decoded);
        return decoded ? NOTHING : FAILED;
    }
    int parsed = PyArg_ParseTuple(decoded, "OOOO", &record->key, &record->value, &record->timestamp, &record->headers);
    if (parsed)
        own_parts(record);
    Py_DECREF(decoded);
    return parsed ? SOMETHING : FAILED;
}

/* Decode a message. What is wrong with it Python says, which decodes it once more: nobody keeps count. */
static Outcome decoded(Taking *self, Record *record) {
    if (!self->by_python && read_message(record) && decode(self->decode_key, &record->key) &&
        decode(self->decode_value, &record->value))
        return SOMETHING;
    if (PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_Exception))
            return FAILED;
        PyErr_Clear();
    }
    drop_parts(record);
    return decode_in_python(self, record);
}

/* Take the first record off the queue. */
static Outcome front(Taking *self, Record *record) {
    if (self->head == NULL) {
        record->message = PyObject_CallNoArgs(self->popleft);
        return record->message ? decoded(self, record) : FAILED;
    }
    PyObject *head = self->head;
    int parsed = PyArg_ParseTuple(head, "OOOOO", &record->message, &record->key, &record->value, &record->timestamp,
                                  &record->headers);
    if (parsed) {
        Py_INCREF(record->message);
        own_parts(record);
    }
    Py_CLEAR(self->head);
    return parsed && PyObject_SetAttr(self->queue, names.head, Py_None) == 0 ? SOMETHING : FAILED;
}

/* Keep a record that is later than the others' turn. */
static int keep(Taking *self, const Record *record) {
    PyObject *head = PyTuple_Pack(5, record->message, record->key, record->value, record->timestamp, record->headers);
    int failed = head == NULL || PyObject_SetAttr(self->queue, names.head, head) < 0;
    Py_XDECREF(head);
    return !failed;
}

static int reject_time(Taking *self, const Record *record) {
    PyObject *done =
        PyObject_CallMethodObjArgs(self->decoding, names.reject_time, record->message, record->timestamp, NULL);
    Py_XDECREF(done);
    return done != NULL;
}

/* Have a record in hand, and time where it says. */
static int take_up(Taking *self, const Record *record, long long timestamp) {
    if (timestamp > self->partition_time)
        self->partition_time = timestamp;
    if (timestamp > self->stream) {
        self->stream = timestamp;
        if (PyObject_SetAttr(self->time, names.stream, record->timestamp) < 0)
            return 0;
    }
    self->taken++;
    return PyObject_SetAttr(self->taker, names.message, record->message) == 0;
}

enum { NO_TIME = -1 };

/* Tell a record's event time, NO_TIME if no record can have it; return whether that succeeded. */
static int time_of(const Record *record, long long *timestamp) {
    int overflow;
    *timestamp = PyLong_AsLongLongAndOverflow(record->timestamp, &overflow);
    if (*timestamp == -1 && PyErr_Occurred())
        return 0;
    if (overflow || *timestamp < 0 || *timestamp > LAST_TIME_MS)
        *timestamp = NO_TIME;
    return 1;
}

/* Take the next record; NOTHING: none is to be taken now. */
static Outcome next_record(Taking *self, Record *record) {
    while (self->left > 0) {
        self->left--;
        int stops = PyObject_IsTrue(self->blocked);
        if (stops == 0 && self->last)
            stops = punctuate(self);
        if (stops)
            return stops < 0 ? FAILED : NOTHING;
        Outcome outcome = front(self, record);
        long long timestamp = NO_TIME;
        if (outcome == FAILED || (outcome == SOMETHING && !time_of(record, &timestamp)))
            return FAILED;
        if (timestamp != NO_TIME && timestamp > self->until)
            return keep(self, record) ? NOTHING : FAILED;
        Py_XSETREF(self->last, Py_NewRef(record->message));
        if (timestamp != NO_TIME)
            return take_up(self, record, timestamp) ? SOMETHING : FAILED;
        if (outcome == SOMETHING && !reject_time(self, record))
            return FAILED;
        drop(record);
    }
    return NOTHING;
}

/* ------------------------------------------------------------------ a turn */

static int end(Taking *self) {
    self->under_way = 0;
    Py_CLEAR(self->result);
    if (!set_number(self->queue, names.partition_time, self->partition_time) ||
        !set_number(self->queue, names.taken, self->taken))
        return 0;
    if (self->last == NULL)
        return 1;
    long long offset;
    return punctuate(self) >= 0 && number_of(self->last, names.offset, &offset) && set_number(self->queue, names.next_offset, offset + 1);
}

/* Return a record's parts but for its message, which they are taken from, in a tuple that is used again. */
static PyObject *result_of(Taking *self, Record *record) {
    PyObject *parts[] = {record->key, record->value, record->timestamp, record->headers};
    enum { PARTS = sizeof(parts) / sizeof(*parts) };
    if (self->result == NULL || Py_REFCNT(self->result) > 1) {
        Py_XSETREF(self->result, PyTuple_New(PARTS));
        if (self->result == NULL)
            return NULL;
    }
    for (int i = 0; i < PARTS; i++) {
        PyObject *before = PyTuple_GET_ITEM(self->result, i);
        PyTuple_SET_ITEM(self->result, i, parts[i]);
        Py_XDECREF(before);
    }
    *record = (Record){.message = record->message};
    return Py_NewRef(self->result);
}

static PyObject *Taking_next(Taking *self) {
    if (!self->under_way)
        return NULL;
    Record record = {0};
    Outcome outcome = next_record(self, &record);
    PyObject *result = NULL;
    if (outcome == SOMETHING)
        result = result_of(self, &record);
    else if (outcome == NOTHING)
        end(self);
    else
        self->under_way = 0;
    drop(&record);
    return result;
}

PyTypeObject Taking_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pipeline._native.Taking",
    .tp_doc = PyDoc_STR("Taking(queue, taker, decoding): takes a queue's records; called, it begins a turn."),
    .tp_basicsize = sizeof(Taking),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = Taking_new,
    .tp_call = (ternaryfunc)Taking_call,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = (iternextfunc)Taking_next,
    .tp_dealloc = (destructor)Taking_dealloc,
    .tp_traverse = (traverseproc)Taking_traverse,
    .tp_clear = (inquiry)Taking_clear,
};
