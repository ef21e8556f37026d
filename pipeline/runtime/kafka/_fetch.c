/* Records from librdkafka without the Python client's message objects.

   The Python client makes an object of a consumed record that answers by methods: making it, and asking it
   for key, value, time and headers, costs as much as decoding a small value. Here a record's parts become
   the attributes of a small object while it is taken off librdkafka's queue.

   It is the same librdkafka, and the same consumer: the Python client keeps the group, offsets and settings,
   and serves all callbacks. Two documented means of librdkafka make that possible:

   - a plugin (`plugin.library.paths`): this file is one, so that a consumer's handle is known here
     (`conf_init`, and the interceptor `on_new`);
   - queues: `rd_kafka_queue_forward` sends a partition's records to a queue that is served here, where nothing
     but records and errors of partitions arrives.

   Nothing of librdkafka is linked: its functions are looked up in the library that the Python client has
   loaded, by the names and types of its public header (rdkafka.h, stable since 1.6). */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>

/* ------------------------------------------------------------------ librdkafka's public interface */

typedef struct rd_kafka_s rd_kafka_t;
typedef struct rd_kafka_conf_s rd_kafka_conf_t;
typedef struct rd_kafka_topic_s rd_kafka_topic_t;
typedef struct rd_kafka_queue_s rd_kafka_queue_t;
typedef struct rd_kafka_headers_s rd_kafka_headers_t;
typedef int rd_kafka_resp_err_t;

typedef struct {
    rd_kafka_resp_err_t err;
    rd_kafka_topic_t *rkt;
    int32_t partition;
    void *payload;
    size_t len;
    void *key;
    size_t key_len;
    int64_t offset;
    void *_private;
} rd_kafka_message_t;

typedef rd_kafka_resp_err_t (*on_new_t)(rd_kafka_t *, const rd_kafka_conf_t *, void *, char *, size_t);
typedef void (*event_t)(rd_kafka_t *, void *);

#define FUNCTIONS(X)                                                                                         \
    X(rd_kafka_resp_err_t, conf_interceptor_add_on_new, (rd_kafka_conf_t *, const char *, on_new_t, void *))  \
    X(rd_kafka_queue_t *, queue_new, (rd_kafka_t *))                                                          \
    X(rd_kafka_queue_t *, queue_get_consumer, (rd_kafka_t *))                                                 \
    X(rd_kafka_queue_t *, queue_get_partition, (rd_kafka_t *, const char *, int32_t))                         \
    X(void, queue_forward, (rd_kafka_queue_t *, rd_kafka_queue_t *))                                          \
    X(void, queue_cb_event_enable, (rd_kafka_queue_t *, event_t, void *))                                     \
    X(void, queue_yield, (rd_kafka_queue_t *))                                                                \
    X(void, queue_destroy, (rd_kafka_queue_t *))                                                              \
    X(ssize_t, consume_batch_queue, (rd_kafka_queue_t *, int, rd_kafka_message_t **, size_t))                 \
    X(void, message_destroy, (rd_kafka_message_t *))                                                          \
    X(const char *, message_errstr, (const rd_kafka_message_t *))                                             \
    X(int64_t, message_timestamp, (const rd_kafka_message_t *, int *))                                        \
    X(rd_kafka_resp_err_t, message_headers, (const rd_kafka_message_t *, rd_kafka_headers_t **))              \
    X(rd_kafka_resp_err_t, header_get_all,                                                                    \
      (const rd_kafka_headers_t *, size_t, const char **, const void **, size_t *))                           \
    X(const char *, topic_name, (const rd_kafka_topic_t *))

#define POINTER(type, name, arguments) type(*name) arguments;
static struct {
    FUNCTIONS(POINTER)
} rd_kafka;

/* ------------------------------------------------------------------ a consumer's handle, by the plugin */

/* What this thread made last. A client is made in one call, in the thread that asks for its fetcher next. */
static _Thread_local rd_kafka_t *made;

static rd_kafka_resp_err_t on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *opaque, char *errstr,
                                  size_t size) {
    (void)conf, (void)opaque, (void)errstr, (void)size;
    made = rk;
    return 0;
}

__attribute__((visibility("default"))) rd_kafka_resp_err_t conf_init(rd_kafka_conf_t *conf, void **opaque,
                                                                     char *errstr, size_t size) {
    (void)opaque, (void)errstr, (void)size;
    return rd_kafka.conf_interceptor_add_on_new(conf, "headrace", on_new, NULL);
}

/* ------------------------------------------------------------------ Message */

typedef struct {
    PyObject_HEAD
    PyObject *topic, *partition, *offset, *key, *value, *timestamp, *headers;
} Message;

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

static PyTypeObject Message_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pipeline.runtime.kafka._fetch.Message",
    .tp_doc = PyDoc_STR("A consumed record. Satisfies `pipeline.runtime.broker.Message`."),
    .tp_basicsize = sizeof(Message),
    /* It refers to bytes, numbers, texts and tuples of them: never to itself, so the collector needs not know. */
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_dealloc = (destructor)Message_dealloc,
    .tp_members = Message_members,
    .tp_as_sequence = &Message_as_sequence,
    .tp_as_number = &Message_as_number,
};

static PyObject *no_headers;

static PyObject *bytes_or_none(const void *data, size_t size) {
    if (data == NULL)
        return Py_NewRef(Py_None);
    return PyBytes_FromStringAndSize(data, (Py_ssize_t)size);
}

static PyObject *headers_of(const rd_kafka_message_t *message) {
    rd_kafka_headers_t *found;
    if (rd_kafka.message_headers(message, &found) != 0)
        return Py_NewRef(no_headers);
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
    rd_kafka_t *rk;
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
    rd_kafka_t *rk = made;
    made = NULL;
    if (rk == NULL)
        return PyErr_Format(PyExc_RuntimeError, "no client was made in this thread with this plugin");
    Fetcher *self = (Fetcher *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->client = Py_NewRef(client);
    self->rk = rk;
    self->queue = rd_kafka.queue_new(rk);
    self->events = rd_kafka.queue_get_consumer(rk);
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
    rd_kafka_queue_t *from = rd_kafka.queue_get_partition(self->rk, topic, partition);
    if (from == NULL)
        return PyErr_Format(PyExc_RuntimeError, "librdkafka has no queue of %s-%d", topic, partition);
    rd_kafka.queue_forward(from, self->queue);
    rd_kafka.queue_destroy(from);
    Py_RETURN_NONE;
}

static int has_room(Fetcher *self, Py_ssize_t limit) {
    if (limit <= self->capacity)
        return 1;
    rd_kafka_message_t **batch = PyMem_Resize(self->batch, rd_kafka_message_t *, limit);
    if (batch == NULL) {
        PyErr_NoMemory();
        return 0;
    }
    self->batch = batch;
    self->capacity = limit;
    return 1;
}

/* Take up to `limit` records, and wait until there are `least` of them. */
static Py_ssize_t take(Fetcher *self, Py_ssize_t limit, Py_ssize_t least, int timeout_ms) {
    ssize_t n = rd_kafka.consume_batch_queue(self->queue, 0, self->batch, limit);
    if (n >= 0 && n < least && timeout_ms > 0) {
        n += rd_kafka.consume_batch_queue(self->queue, timeout_ms, self->batch + n, least - n);
        if (n >= least && n < limit)
            n += rd_kafka.consume_batch_queue(self->queue, 0, self->batch + n, limit - n);
    }
    return n;
}

static PyObject *new_event(const rd_kafka_message_t *message) {
    return Py_BuildValue("(isziL)", message->err, rd_kafka.message_errstr(message),
                         message->rkt ? rd_kafka.topic_name(message->rkt) : NULL, (int)message->partition,
                         (long long)message->offset);
}

static int append(PyObject *list, PyObject *item) {
    int failed = item == NULL || PyList_Append(list, item) < 0;
    Py_XDECREF(item);
    return !failed;
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

static PyObject *Fetcher_fetch(Fetcher *self, PyObject *args) {
    Py_ssize_t limit, least, n;
    int timeout_ms;
    if (!PyArg_ParseTuple(args, "nni:fetch", &limit, &least, &timeout_ms) || !is_open(self) ||
        !has_room(self, limit))
        return NULL;
    Py_BEGIN_ALLOW_THREADS;
    n = take(self, limit, least, timeout_ms);
    Py_END_ALLOW_THREADS;
    PyObject *runs = PyList_New(0), *events = PyList_New(0);
    int good = runs && events && sort(self->batch, n, runs, events);
    for (Py_ssize_t i = 0; i < n; i++)
        rd_kafka.message_destroy(self->batch[i]);
    if (good)
        return Py_BuildValue("(NN)", runs, events);
    Py_XDECREF(runs);
    Py_XDECREF(events);
    return NULL;
}

static PyMethodDef Fetcher_methods[] = {
    {"route", (PyCFunction)Fetcher_route, METH_VARARGS, "Have a partition's records come here."},
    {"fetch", (PyCFunction)Fetcher_fetch, METH_VARARGS, "Take records, in runs of a partition, and events."},
    {"close", (PyCFunction)Fetcher_close, METH_NOARGS, "Give the client back; it may be closed then."},
    {NULL},
};

static PyTypeObject Fetcher_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pipeline.runtime.kafka._fetch.Fetcher",
    .tp_doc = PyDoc_STR("Fetcher(client): takes records off the queues of the client this thread made last."),
    .tp_basicsize = sizeof(Fetcher),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = Fetcher_new,
    .tp_dealloc = (destructor)Fetcher_dealloc,
    .tp_traverse = (traverseproc)Fetcher_traverse,
    .tp_clear = (inquiry)Fetcher_clear,
    .tp_methods = Fetcher_methods,
};

/* ------------------------------------------------------------------ the module */

/* Look librdkafka's functions up in a library that is loaded already: the Python client's. */
static PyObject *link_client(PyObject *module, PyObject *path) {
    (void)module;
    const char *name = PyUnicode_AsUTF8(path);
    if (name == NULL)
        return NULL;
    void *library = dlopen(name, RTLD_LAZY | RTLD_NOLOAD);
    if (library == NULL)
        return PyErr_Format(PyExc_ImportError, "%s is not loaded", name);
#define LOOK_UP(type, name, arguments)                                                                       \
    if ((rd_kafka.name = (type(*) arguments)dlsym(library, "rd_kafka_" #name)) == NULL)                        \
        return PyErr_Format(PyExc_ImportError, "the client has no function rd_kafka_" #name);
    FUNCTIONS(LOOK_UP)
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"link", link_client, METH_O, "Use the librdkafka of a library that is loaded, given by its path."},
    {NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_fetch",
    .m_doc = "Records from librdkafka, as objects with attributes.",
    .m_size = -1,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__fetch(void) {
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL || (no_headers = PyTuple_New(0)) == NULL || PyModule_AddType(module, &Message_type) < 0 ||
        PyModule_AddType(module, &Fetcher_type) < 0)
        return NULL;
    return module;
}
