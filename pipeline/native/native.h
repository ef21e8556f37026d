/* librdkafka as this extension uses it, and what its files have of each other.

   Nothing of librdkafka is linked: its functions are looked up in the library that the Python client has
   loaded, by the names and types of its public header (rdkafka.h, stable since 1.6). */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <pthread.h>
#include <stdint.h>

typedef struct rd_kafka_s rd_kafka_t;
typedef struct rd_kafka_conf_s rd_kafka_conf_t;
typedef struct rd_kafka_topic_s rd_kafka_topic_t;
typedef struct rd_kafka_topic_conf_s rd_kafka_topic_conf_t;
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
typedef rd_kafka_resp_err_t (*on_conf_destroy_t)(void *);
typedef rd_kafka_resp_err_t (*on_acknowledgement_t)(rd_kafka_t *, rd_kafka_message_t *, void *);
typedef void (*event_t)(rd_kafka_t *, void *);
typedef void (*error_cb_t)(rd_kafka_t *, int, const char *, void *);

#define FUNCTIONS(X)                                                                                         \
    X(rd_kafka_resp_err_t, conf_interceptor_add_on_new, (rd_kafka_conf_t *, const char *, on_new_t, void *))  \
    X(rd_kafka_resp_err_t, conf_interceptor_add_on_conf_destroy,                                              \
      (rd_kafka_conf_t *, const char *, on_conf_destroy_t, void *))                                           \
    X(rd_kafka_resp_err_t, interceptor_add_on_acknowledgement,                                                \
      (rd_kafka_t *, const char *, on_acknowledgement_t, void *))                                             \
    X(void, conf_set_error_cb, (rd_kafka_conf_t *, error_cb_t))                                                  \
    X(rd_kafka_resp_err_t, fatal_error, (rd_kafka_t *, char *, size_t))                                       \
    X(int, type, (const rd_kafka_t *))                                                                        \
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
    X(rd_kafka_topic_t *, topic_new, (rd_kafka_t *, const char *, rd_kafka_topic_conf_t *))                   \
    X(const char *, topic_name, (const rd_kafka_topic_t *))                                                   \
    X(void, topic_destroy, (rd_kafka_topic_t *))                                                              \
    X(rd_kafka_resp_err_t, producev, (rd_kafka_t *, ...))

#define POINTER(type, name, arguments) type(*name) arguments;
struct functions {
    FUNCTIONS(POINTER)
};
extern struct functions rd_kafka;

/* An error of a client: its text; or a record that was not delivered: its topic, which is `text`, and the rest. */
struct note {
    rd_kafka_resp_err_t err;
    int fatal;
    char *text;
    int32_t partition;
    void *key, *value;
    size_t key_len, value_len;
    struct note *next;
};

struct notes {
    pthread_mutex_t lock;
    struct note *first, **end;
    _Atomic Py_ssize_t count;
};

/* A client that was made with this plugin. */
struct client {
    rd_kafka_t *rk;
    struct notes failures, errors;
    struct client *next;
};

struct client *new_client(void);
/* The interceptor `on_conf_destroy`: the last that librdkafka calls of a client, after its threads have ended. */
rd_kafka_resp_err_t free_client(void *client);
/* The callback for errors: it needs no Python, in whatever thread and queue they arrive. */
void note_error(rd_kafka_t *rk, int err, const char *reason, void *opaque);
/* The interceptor `on_acknowledgement` of a producer. */
rd_kafka_resp_err_t note_failure(rd_kafka_t *rk, rd_kafka_message_t *message, void *client);

void add_note(struct notes *notes, struct note *note);
void free_notes(struct note *first);
/* Take what was noted, each made a Python object by `made`, as a list. */
PyObject *take_list(struct notes *notes, PyObject *(*made)(const struct note *));
/* Append an object that is owned; NULL, with an exception, stands for one that could not be made. */
int append(PyObject *list, PyObject *item);
/* The memory; without any, a process that went on would lose what it was for without a word: it is aborted. */
void *there(void *memory);

/* Take the client that this thread made last; NULL, with an exception, if it made none. */
struct client *take_made(void);

PyObject *bytes_or_none(const void *data, size_t size);

/* A consumed record. Its attributes are never NULL. */
typedef struct {
    PyObject_HEAD
    PyObject *topic, *partition, *offset, *key, *value, *timestamp, *headers;
} Message;

extern PyTypeObject Expression_type, Message_type, Fetcher_type, Producer_type, Taking_type;

/* What attributes of Python objects are known by; made with the module. */
#define NAMES(X)                                                                                             \
    X(blocked) X(dirty) X(extract) X(has_large) X(head) X(headers) X(key) X(message) X(messages)            \
    X(next_offset) X(offset) X(partition_time) X(popleft) X(punctuate_stream) X(reject_time) X(schedules)     \
    X(stream) X(stream_punctuations) X(taken) X(time) X(timestamp) X(value)

#define NAME_OF(name) PyObject *name;
extern struct names {
    NAMES(NAME_OF)
} names;

PyObject *encode_entries(PyObject *module, PyObject *args);
