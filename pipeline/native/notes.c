/* What librdkafka's callbacks note, whichever thread they run in, until Python asks for it. */

#include "native.h"

#include <stdlib.h>
#include <string.h>

void *there(void *memory) {
    if (memory == NULL)
        abort();
    return memory;
}

static void begin(struct notes *notes) {
    pthread_mutex_init(&notes->lock, NULL);
    notes->first = NULL;
    notes->end = &notes->first;
    notes->count = 0;
}

void add_note(struct notes *notes, struct note *note) {
    pthread_mutex_lock(&notes->lock);
    note->next = NULL;
    *notes->end = note;
    notes->end = &note->next;
    notes->count++;
    pthread_mutex_unlock(&notes->lock);
}

static struct note *take_notes(struct notes *notes) {
    pthread_mutex_lock(&notes->lock);
    struct note *first = notes->first;
    notes->first = NULL;
    notes->end = &notes->first;
    notes->count = 0;
    pthread_mutex_unlock(&notes->lock);
    return first;
}

void free_notes(struct note *note) {
    while (note) {
        struct note *next = note->next;
        free(note->text);
        free(note->key);
        free(note->value);
        free(note);
        note = next;
    }
}

int append(PyObject *list, PyObject *item) {
    int failed = item == NULL || PyList_Append(list, item) < 0;
    Py_XDECREF(item);
    return !failed;
}

PyObject *take_list(struct notes *notes, PyObject *(*made)(const struct note *)) {
    PyObject *list = PyList_New(0);
    /* Without the lock: mostly there is nothing, and what comes just now is taken the next time. */
    if (list == NULL || notes->count == 0)
        return list;
    struct note *first = take_notes(notes);
    for (struct note *note = first; list && note; note = note->next)
        if (!append(list, made(note)))
            Py_CLEAR(list);
    free_notes(first);
    return list;
}

static void finish(struct notes *notes) {
    free_notes(take_notes(notes));
    pthread_mutex_destroy(&notes->lock);
}

/* All clients: librdkafka's callback for errors is told of a client's handle alone. */
static struct client *clients;
static pthread_mutex_t clients_lock = PTHREAD_MUTEX_INITIALIZER;

struct client *new_client(void) {
    struct client *client = there(calloc(1, sizeof(*client)));
    begin(&client->failures);
    begin(&client->errors);
    pthread_mutex_lock(&clients_lock);
    client->next = clients;
    clients = client;
    pthread_mutex_unlock(&clients_lock);
    return client;
}

rd_kafka_resp_err_t free_client(void *opaque) {
    struct client *client = opaque;
    pthread_mutex_lock(&clients_lock);
    struct client **link = &clients;
    while (*link != client)
        link = &(*link)->next;
    *link = client->next;
    pthread_mutex_unlock(&clients_lock);
    finish(&client->failures);
    finish(&client->errors);
    free(client);
    return 0;
}

void note_error(rd_kafka_t *rk, int err, const char *reason, void *opaque) {
    (void)opaque;
    enum { FATAL = -150 };
    char text[512];
    int fatal = err == FATAL;
    if (fatal) {
        err = rd_kafka.fatal_error(rk, text, sizeof(text));
        reason = text;
    }
    struct note *note = there(malloc(sizeof(*note)));
    *note = (struct note){.err = err, .fatal = fatal, .text = there(strdup(reason ? reason : ""))};
    pthread_mutex_lock(&clients_lock);
    for (struct client *client = clients; note && client; client = client->next)
        if (client->rk == rk) {
            add_note(&client->errors, note);
            note = NULL;
        }
    pthread_mutex_unlock(&clients_lock);
    free_notes(note);
}
