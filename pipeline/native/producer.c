/* Produces records through a client's handle, and returns those that failed. */

#include "native.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ what failed, from librdkafka's threads */

static void *copy_of(const void *data, size_t size) {
    return data == NULL ? NULL : memcpy(there(malloc(size ? size : 1)), data, size);
}

/* A thread is inside of `produce`, which says by itself what it refuses. */
static _Thread_local int producing;

rd_kafka_resp_err_t note_failure(rd_kafka_t *rk, rd_kafka_message_t *message, void *opaque) {
    (void)rk;
    /* What has something private was produced by the Python client, which reports it itself. */
    if (message->err == 0 || message->_private != NULL || producing)
        return 0;
    struct client *client = opaque;
    struct note *note = there(malloc(sizeof(*note)));
    *note = (struct note){
        .err = message->err,
        .text = there(strdup(rd_kafka.topic_name(message->rkt))),
        .partition = message->partition,
        .key = copy_of(message->key, message->key_len),
        .value = copy_of(message->payload, message->len),
        .key_len = message->key_len,
        .value_len = message->len,
    };
    add_note(&client->failures, note);
    return 0;
}

/* ------------------------------------------------------------------ Producer */

typedef struct {
    PyObject_HEAD
    /* The Python client: alive as long as its handle is used here. */
    PyObject *client;
    /* Returns the exception for a code of librdkafka's. */
    PyObject *error;
    /* Produces by the Python client, by the same arguments: what has headers, and what is not bytes. */
    PyObject *by_client;
    /* Topics' handles, in capsules, by name: as many as librdkafka itself keeps. */
    PyObject *topics;
    struct client *made;
} Producer;

static PyObject *Producer_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    PyObject *client, *error, *by_client;
    static char *names[] = {"", "", "", NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO:Producer", names, &client, &error, &by_client))
        return NULL;
    struct client *made = take_made();
    if (made == NULL)
        return NULL;
    Producer *self = (Producer *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->client = Py_NewRef(client);
    self->error = Py_NewRef(error);
    self->by_client = Py_NewRef(by_client);
    self->made = made;
    self->topics = PyDict_New();
    if (self->topics == NULL)
        Py_CLEAR(self);
    return (PyObject *)self;
}

/* The client refers to who is called back with its errors, and that one to this: a cycle, for the collector. */
static int Producer_traverse(Producer *self, visitproc visit, void *arg) {
    Py_VISIT(self->client);
    Py_VISIT(self->error);
    Py_VISIT(self->by_client);
    Py_VISIT(self->topics);
    return 0;
}

static int Producer_clear(Producer *self) {
    self->made = NULL;
    /* Topics' handles before the client's. */
    Py_CLEAR(self->topics);
    Py_CLEAR(self->error);
    Py_CLEAR(self->by_client);
    Py_CLEAR(self->client);
    return 0;
}

static PyObject *Producer_close(Producer *self, PyObject *ignored) {
    (void)ignored;
    Producer_clear(self);
    Py_RETURN_NONE;
}

static void Producer_dealloc(Producer *self) {
    PyObject_GC_UnTrack(self);
    Producer_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static int is_open(Producer *self) {
    if (self->made == NULL)
        PyErr_SetString(PyExc_RuntimeError, "the producer is closed");
    return self->made != NULL;
}

static PyObject *refused(Producer *self, rd_kafka_resp_err_t code) {
    enum { QUEUE_FULL = -184 };
    if (code == QUEUE_FULL)
        return PyErr_Format(PyExc_BufferError, "the local queue is full");
    PyObject *error = PyObject_CallFunction(self->error, "i", code);
    if (error)
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_XDECREF(error);
    return NULL;
}

static const char *const TOPIC = "rd_kafka_topic_t";

static void release_topic(PyObject *capsule) {
    rd_kafka.topic_destroy(PyCapsule_GetPointer(capsule, TOPIC));
}

static rd_kafka_topic_t *topic_of(Producer *self, PyObject *name) {
    PyObject *known = PyDict_GetItemWithError(self->topics, name);
    if (known)
        return PyCapsule_GetPointer(known, TOPIC);
    enum { INVALID = -186 };
    Py_ssize_t size;
    const char *text = PyErr_Occurred() ? NULL : PyUnicode_AsUTF8AndSize(name, &size);
    if (text == NULL)
        return NULL;
    rd_kafka_topic_t *topic = (size_t)size == strlen(text) ? rd_kafka.topic_new(self->made->rk, text, NULL) : NULL;
    if (topic == NULL) {
        refused(self, INVALID);
        return NULL;
    }
    PyObject *capsule = PyCapsule_New(topic, TOPIC, release_topic);
    if (capsule == NULL || PyDict_SetItem(self->topics, name, capsule) < 0)
        topic = NULL;
    Py_XDECREF(capsule);
    return topic;
}

static int is_plain(PyObject *value, PyObject *key, PyObject *headers) {
    return (value == Py_None || PyBytes_Check(value)) && (key == Py_None || PyBytes_Check(key)) &&
           (headers == Py_None || PyObject_Size(headers) == 0);
}

static void *data_of(PyObject *argument) { return argument == Py_None ? NULL : PyBytes_AS_STRING(argument); }

static size_t size_of(PyObject *argument) { return argument == Py_None ? 0 : PyBytes_GET_SIZE(argument); }

/* Arguments of `rd_kafka_producev`, by the order in which its header names them. */
enum { END, NAME, TOPIC_HANDLE, PARTITION, VALUE, KEY, OPAQUE, FLAGS, TIMESTAMP };
enum { COPY = 2 };

static PyObject *Producer_produce(Producer *self, PyObject *const *args, Py_ssize_t count) {
    if (count != 6)
        return PyErr_Format(PyExc_TypeError, "produce() takes topic, value, key, partition, timestamp and headers");
    if (!is_open(self))
        return NULL;
    PyObject *value = args[1], *key = args[2];
    if (!is_plain(value, key, args[5]))
        return PyErr_Occurred() ? NULL : PyObject_Vectorcall(self->by_client, args, count, NULL);
    long partition = PyLong_AsLong(args[3]);
    long long timestamp = PyLong_AsLongLong(args[4]);
    if (PyErr_Occurred())
        return NULL;
    rd_kafka_topic_t *topic = topic_of(self, args[0]);
    if (topic == NULL)
        return NULL;
    producing = 1;
    rd_kafka_resp_err_t code = rd_kafka.producev(
        self->made->rk, TOPIC_HANDLE, topic, PARTITION, (int32_t)partition, VALUE, data_of(value), size_of(value), KEY,
        data_of(key), size_of(key), FLAGS, (int)COPY, TIMESTAMP, (int64_t)timestamp, END);
    producing = 0;
    if (code != 0)
        return refused(self, code);
    Py_RETURN_NONE;
}

static PyObject *failure_of(const struct note *note) {
    return Py_BuildValue("(isiNN)", note->err, note->text, (int)note->partition,
                         bytes_or_none(note->key, note->key_len), bytes_or_none(note->value, note->value_len));
}

static PyObject *Producer_failures(Producer *self, PyObject *ignored) {
    (void)ignored;
    return self->made ? take_list(&self->made->failures, failure_of) : PyList_New(0);
}

static Py_ssize_t Producer_length(Producer *self) {
    return self->made ? self->made->failures.count : 0;
}

static int Producer_bool(Producer *self) {
    (void)self;
    return 1;
}

static PyMethodDef Producer_methods[] = {
    {"produce", (PyCFunction)(void (*)(void))Producer_produce, METH_FASTCALL,
     "Queue a record: topic, value, key, partition, timestamp, headers."},
    {"failures", (PyCFunction)Producer_failures, METH_NOARGS, "Return and forget the records that failed."},
    {"close", (PyCFunction)Producer_close, METH_NOARGS, "Give the client back; it may be closed then."},
    {NULL},
};

static PySequenceMethods Producer_as_sequence = {.sq_length = (lenfunc)Producer_length};
static PyNumberMethods Producer_as_number = {.nb_bool = (inquiry)Producer_bool};

PyTypeObject Producer_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pipeline._native.Producer",
    .tp_doc = PyDoc_STR("Producer(client, error, by_client): queues records with the client this thread made last."),
    .tp_basicsize = sizeof(Producer),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = Producer_new,
    .tp_dealloc = (destructor)Producer_dealloc,
    .tp_traverse = (traverseproc)Producer_traverse,
    .tp_clear = (inquiry)Producer_clear,
    .tp_methods = Producer_methods,
    .tp_as_sequence = &Producer_as_sequence,
    .tp_as_number = &Producer_as_number,
};
