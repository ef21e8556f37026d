/* Records off a task's queue (taking.c), a window's entries as bytes (window_entries.c), what simple regular
   expressions match (expression.c); and records from and to librdkafka without a Python object of the client's, or a callback into Python, for each (fetcher.c, producer.c).

   The Python client makes an object of a consumed record that answers by methods: making it, and asking it
   for key, value, time and headers, costs as much as decoding a small value. Of a record that was delivered
   it takes the interpreter's lock, to do nothing. Here a record's parts become the attributes of a small
   object while it is taken off librdkafka's queue, and Python hears of records that were not delivered only.

   It is the same librdkafka, and the same client: the Python client keeps group, offsets, transactions and
   settings, and serves all callbacks. Documented means of librdkafka make that possible:

   - a plugin (`plugin.library.paths`): this extension is one (`conf_init`), and is told by interceptors of a
     client's handle (`on_new`) and of what became of records (`on_acknowledgement`);
   - queues: `rd_kafka_queue_forward` sends a partition's records to a queue that is served here, where nothing
     but records and errors of partitions arrives. */

#include "native.h"

#include <dlfcn.h>

struct functions rd_kafka;
struct names names;

static const char *const NAME = "headrace";

/* What this thread made last. A client is made in one call, in the thread that asks for it next. */
static _Thread_local struct client *made;

static rd_kafka_resp_err_t on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *opaque, char *errstr,
                                  size_t size) {
    (void)errstr, (void)size;
    enum { PRODUCER };
    made = opaque;
    made->rk = rk;
    if (rd_kafka.type(rk) == PRODUCER)
        return rd_kafka.interceptor_add_on_acknowledgement(rk, NAME, note_failure, made);
    /* Errors come by partitions' queues, too, where the Python client's callback would find no call of its own
       to go back to, and end the process. The settings are the client's, before anything of it has begun. */
    rd_kafka.conf_set_error_cb((rd_kafka_conf_t *)conf, note_error);
    return 0;
}

__attribute__((visibility("default"))) rd_kafka_resp_err_t conf_init(rd_kafka_conf_t *conf, void **opaque,
                                                                     char *errstr, size_t size) {
    (void)opaque, (void)errstr, (void)size;
    struct client *client = new_client();
    rd_kafka.conf_interceptor_add_on_conf_destroy(conf, NAME, free_client, client);
    return rd_kafka.conf_interceptor_add_on_new(conf, NAME, on_new, client);
}

struct client *take_made(void) {
    struct client *taken = made;
    made = NULL;
    if (taken == NULL)
        PyErr_SetString(PyExc_RuntimeError, "no client was made in this thread with this plugin");
    return taken;
}

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
    {"encode_entries", encode_entries, METH_VARARGS, "Make bytes of a window's entries."},
    {NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_native",
    .m_doc = "Records from and to librdkafka, and off queues; a window's entries as bytes; simple regular expressions.",
    .m_size = -1,
    .m_methods = functions,
};

static int make_names(void) {
#define MAKE_NAME(name)                                                                                      \
    if ((names.name = PyUnicode_InternFromString(#name)) == NULL)                                             \
        return 0;
    NAMES(MAKE_NAME)
    return 1;
}

PyMODINIT_FUNC PyInit__native(void) {
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL || !make_names())
        return NULL;
    PyTypeObject *types[] = {&Expression_type, &Message_type, &Fetcher_type, &Producer_type, &Taking_type};
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (PyModule_AddType(module, types[i]) < 0)
            return NULL;
    return module;
}
