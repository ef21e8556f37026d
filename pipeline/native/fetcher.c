/* Takes records off the queues of a consumer's partitions. */

#include "native.h"

#include <stddef.h>

/* ------------------------------------------------------------------ Message */

static void Message_dealloc(Message *self) {
    Py_XDECREF(self->topic);
    Py_XDECREF(self->partition);
    Py_XDECREF(self->offset);
    Py_XDECREF(self->key);
    Py_XDECREF(self->value);
    Py_XDECREF(self->timestamp);
    Py_XDECREF(self->headers);
    PyObject_Free(self);
}

static Py_ssize_t Message_length(Message *self) {
    return self->value == Py_None ? 0 : PyBytes_GET_SIZE(self->value);
}

static int Message_bool(Message *self) {
    (void)self;
    return 1;
}

#define MEMBER(name, doc) {#name, T_OBJECT_EX, offsetof(Message, name), READONLY, doc}
static PyMemberDef Message_members[] = {
    MEMBER(topic, "Topic it was read from."),
    MEMBER(partition, "Partition it was read from."),
    MEMBER(offset, "Offset within the partition."),
    MEMBER(key, "Key bytes, or None."),
    MEMBER(value, "Value bytes, or None."),
    MEMBER(timestamp, "Milliseconds since the epoch; -1 if there is none."),
    MEMBER(headers, "Record headers."),
    {NULL},
};

static PySequenceMethods Message_as_sequence = {.sq_length = (lenfunc)Message_length};
static PyNumberMethods Message_as_number = {.nb_bool = (inquiry)Message_bool};

PyTypeObject Message_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pipeline._native.Message",
    .tp_doc = PyDoc_STR("A consumed record. Satisfies `pipeline.runtime.broker.Message`."),
    .tp_basicsize = sizeof(Message),
    /* It refers to bytes, numbers, texts and tuples of them: never to itself, so the collector needs not know. */
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_dealloc = (destructor)Message_dealloc,
    .tp_members = Message_members,
    .tp_as_sequence = &Message_as_sequence,
    .tp_as_number = &Message_as_number,
};

PyObject *bytes_or_none(const void *data, size_t size) {
    if (data == NULL)
        return Py_NewRef(Py_None);
    return PyBytes_FromStringAndSize(data, (Py_ssize_t)size);
}

static PyObject *headers_of(const rd_kafka_message_t *message) {
    rd_kafka_headers_t *found;
    if (rd_kafka.message_headers(message, &found) != 0)
        return PyTuple_New(0);
    PyObject *headers = PyList_New(0);
    const char *name;
    const void *data;
    size_t size;
    for (size_t i = 0; headers && rd_kafka.header_get_all(found, i, &name, &data, &size) == 0; i++) {
        PyObject *value = bytes_or_none(data, size);
        PyObject *pair = value ? Py_BuildValue("(sN)", name, value) : NULL;
        if (pair == NULL || PyList_Append(headers, pair) < 0)
            Py_CLEAR(headers);
        Py_XDECREF(pair);
    }
    return headers;
}

static PyObject *new_message(const rd_kafka_message_t *from, PyObject *topic, PyObject *partition) {
    Message *self = PyObject_New(Message, &Message_type);
    if (self == NULL)
        return NULL;
    int type;
    self->topic = Py_NewRef(topic);
    self->partition = Py_NewRef(partition);
    self->offset = PyLong_FromLongLong(from->offset);
    self->key = bytes_or_none(from->key, from->key_len);
    self->value = bytes_or_none(from->payload, from->len);
    self->timestamp = PyLong_FromLongLong(rd_kafka.message_timestamp(from, &type));
    self->headers = headers_of(from);
    if (!self->offset || !self->key || !self->value || !self->timestamp || !self->headers)
        Py_CLEAR(self);
    return (PyObject *)self;
}

/* ------------------------------------------------------------------ Fetcher */

typedef struct {
    PyObject_HEAD
    /* The Python client: alive as long as its handle is used here. */
    PyObject *client;
    struct client *made;
    /* What partitions are forwarded to, and the consumer's own. */
    rd_kafka_queue_t *queue, *events;
    rd_kafka_message_t **batch;
    Py_ssize_t capacity;
} Fetcher;

/* Something has arrived in the consumer's own queue: who waits for records is to look at it. */
static void wake(rd_kafka_t *rk, void *queue) {
    (void)rk;
    rd_kafka.queue_yield(queue);
}

static PyObject *Fetcher_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    PyObject *client;
    if (!PyArg_ParseTuple(args, "O:Fetcher", &client))
        return NULL;
    if (kwargs && PyDict_GET_SIZE(kwargs))
        return PyErr_Format(PyExc_TypeError, "Fetcher() takes no keyword arguments");
    struct client *made = take_made();
    if (made == NULL)
        return NULL;
    Fetcher *self = (Fetcher *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->client = Py_NewRef(client);
    self->made = made;
    self->queue = rd_kafka.queue_new(made->rk);
    self->events = rd_kafka.queue_get_consumer(made->rk);
    rd_kafka.queue_cb_event_enable(self->events, wake, self->queue);
    return (PyObject *)self;
}

static void release(Fetcher *self) {
    if (self->queue == NULL)
        return;
    rd_kafka.queue_cb_event_enable(self->events, NULL, NULL);
    rd_kafka.queue_destroy(self->events);
    /* What is still forwarded to it is dropped from now on. */
    rd_kafka.queue_destroy(self->queue);
    self->queue = self->events = NULL;
}

/* The client refers to who is called back with its errors, and that one to this: a cycle, for the collector. */
static int Fetcher_traverse(Fetcher *self, visitproc visit, void *arg) {
    Py_VISIT(self->client);
    return 0;
}

static int Fetcher_clear(Fetcher *self) {
    release(self);
    Py_CLEAR(self->client);
    return 0;
}

static PyObject *Fetcher_close(Fetcher *self, PyObject *ignored) {
    (void)ignored;
    Fetcher_clear(self);
    Py_RETURN_NONE;
}

static void Fetcher_dealloc(Fetcher *self) {
    PyObject_GC_UnTrack(self);
    Fetcher_clear(self);
    PyMem_Free(self->batch);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static int is_open(Fetcher *self) {
    if (self->queue == NULL)
        PyErr_SetString(PyExc_RuntimeError, "the fetcher is closed");
    return self->queue != NULL;
}

static PyObject *Fetcher_route(Fetcher *self, PyObject *args) {
    const char *topic;
    int partition;
    if (!PyArg_ParseTuple(args, "si:route", &topic, &partition) || !is_open(self))
        return NULL;
    rd_kafka_queue_t *from = rd_kafka.queue_get_partition(self->made->rk, topic, partition);
    if (from == NULL)
        return PyErr_Format(PyExc_RuntimeError, "librdkafka has no queue of %s-%d", topic, partition);
    rd_kafka.queue_forward(from, self->queue);
    rd_kafka.queue_destroy(from);
    Py_RETURN_NONE;
}

static int has_room(Fetcher *self, Py_ssize_t limit) {
    if (limit <= self->capacity)
        return 1;
    rd_kafka_message_t **batch = PyMem_Realloc(self->batch, limit * sizeof(*batch));
    if (batch == NULL) {
        PyErr_NoMemory();
        return 0;
    }
    self->batch = batch;
    self->capacity = limit;
    return 1;
}

/* Take up to `limit` records, having waited until there are `least` of them. The waiting comes first: who does not
   wait takes away the sign that something has arrived in the consumer's own queue. */
static Py_ssize_t take(Fetcher *self, Py_ssize_t limit, Py_ssize_t least, int timeout_ms) {
    ssize_t n = rd_kafka.consume_batch_queue(self->queue, timeout_ms, self->batch, least);
    if (n == least && n < limit)
        n += rd_kafka.consume_batch_queue(self->queue, 0, self->batch + n, limit - n);
    return n;
}

static PyObject *new_event(const rd_kafka_message_t *message) {
    return Py_BuildValue("(isziL)", message->err, rd_kafka.message_errstr(message),
                         message->rkt ? rd_kafka.topic_name(message->rkt) : NULL, (int)message->partition,
                         (long long)message->offset);
}

/* Messages of one partition that came one after the other: they share its name and number. */
static PyObject *new_run(const rd_kafka_message_t *first) {
    return Py_BuildValue("(Nl[])", PyUnicode_InternFromString(rd_kafka.topic_name(first->rkt)),
                         (long)first->partition);
}

static int continues(const rd_kafka_message_t *message, const rd_kafka_message_t *last) {
    return last != NULL && last->rkt == message->rkt && last->partition == message->partition;
}

/* Put what was taken into the lists. */
static int sort(rd_kafka_message_t **batch, Py_ssize_t n, PyObject *runs, PyObject *events) {
    PyObject *topic = NULL, *partition = NULL, *messages = NULL;
    const rd_kafka_message_t *last = NULL;
    int good = 1;
    for (Py_ssize_t i = 0; good && i < n; i++) {
        const rd_kafka_message_t *message = batch[i];
        if (message->err) {
            good = append(events, new_event(message));
            continue;
        }
        if (!continues(message, last)) {
            PyObject *run = new_run(message);
            good = append(runs, run) && PyArg_ParseTuple(run, "OOO", &topic, &partition, &messages);
        }
        good = good && append(messages, new_message(message, topic, partition));
        last = message;
    }
    return good;
}

/* An error of the client: code, text, whether it is fatal. */
static PyObject *error_of(const struct note *note) {
    return Py_BuildValue("(isN)", note->err, note->text, PyBool_FromLong(note->fatal));
}

static PyObject *Fetcher_fetch(Fetcher *self, PyObject *args) {
    Py_ssize_t limit, least, n;
    int timeout_ms;
    if (!PyArg_ParseTuple(args, "nni:fetch", &limit, &least, &timeout_ms) || !is_open(self) ||
        !has_room(self, limit))
        return NULL;
    Py_BEGIN_ALLOW_THREADS;
    n = take(self, limit, least, timeout_ms);
    Py_END_ALLOW_THREADS;
    PyObject *runs = PyList_New(0), *events = PyList_New(0), *errors = take_list(&self->made->errors, error_of);
    int good = runs && events && errors && sort(self->batch, n, runs, events);
    for (Py_ssize_t i = 0; i < n; i++)
        rd_kafka.message_destroy(self->batch[i]);
    if (good)
        return Py_BuildValue("(NNN)", runs, events, errors);
    Py_XDECREF(runs);
    Py_XDECREF(events);
    Py_XDECREF(errors);
    return NULL;
}

static PyMethodDef Fetcher_methods[] = {
    {"route", (PyCFunction)Fetcher_route, METH_VARARGS, "Have a partition's records come here."},
    {"fetch", (PyCFunction)Fetcher_fetch, METH_VARARGS, "Take records, in runs of a partition, events, and errors of the client."},
    {"close", (PyCFunction)Fetcher_close, METH_NOARGS, "Give the client back; it may be closed then."},
    {NULL},
};

PyTypeObject Fetcher_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pipeline._native.Fetcher",
    .tp_doc = PyDoc_STR("Fetcher(client): takes records off the queues of the client this thread made last."),
    .tp_basicsize = sizeof(Fetcher),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = Fetcher_new,
    .tp_dealloc = (destructor)Fetcher_dealloc,
    .tp_traverse = (traverseproc)Fetcher_traverse,
    .tp_clear = (inquiry)Fetcher_clear,
    .tp_methods = Fetcher_methods,
};
