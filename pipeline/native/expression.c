/* Masks what a simple regular expression matches in a text of ASCII: what `_search_everywhere` in
   observability/patterns.py does.

   Simple is a sequence of steps, each a set of characters that is repeated, or a word's boundary. Matches are
   those of `re`: the leftmost, and of these the one that backtracking finds first. Two things make it fast: a set
   is a table, and where a step takes one character that no step before it takes (the @ of an address), that
   character is looked for, and matches are tried from the run of characters in front of it only. */

#include "native.h"

#include <string.h>

enum { CHARACTERS = 128, NONE = -1 };

typedef enum { BOUNDARY, GREEDY, LAZY, POSSESSIVE } Kind;

typedef struct {
    Kind kind;
    Py_ssize_t least, most;
    char set[CHARACTERS];
} Step;

typedef struct {
    PyObject_HEAD
    PyObject *otherwise;
    Step *steps;
    Py_ssize_t count, anchor; /* the step whose only character is looked for; NONE: there is none */
    char literal;             /* of the anchor */
    char before[CHARACTERS];  /* what a match may have in front of it; without an anchor, what it may begin with */
} Expression;

/* ------------------------------------------------------------------ matching */

typedef struct {
    const unsigned char *data;
    Py_ssize_t size;
} Text;

static int is_word(const Text *text, Py_ssize_t at) {
    return at >= 0 && at < text->size && (Py_ISALNUM(text->data[at]) || text->data[at] == '_');
}

/* Whether the step that is next may begin at a place: asked before it is tried, for it mostly says no. */
static int may_begin(const Step *next, const Text *text, Py_ssize_t at) {
    return next->kind == BOUNDARY || next->least == 0 || (at < text->size && next->set[text->data[at]]);
}

static Py_ssize_t match(const Step *step, const Step *end, const Text *text, Py_ssize_t at);

/* Match a step that may take from `least` to `most` characters, and those after it. */
static Py_ssize_t match_choice(const Step *step, const Step *end, const Text *text, Py_ssize_t at,
                               Py_ssize_t most) {
    Py_ssize_t least = at + step->least, taken = step->kind == LAZY ? least : at + most, matched = NONE;
    Py_ssize_t towards = step->kind == LAZY ? 1 : -1;
    for (; matched == NONE && taken >= least && taken <= at + most; taken += towards)
        if (step + 1 == end || may_begin(step + 1, text, taken))
            matched = match(step + 1, end, text, taken);
    return matched;
}

/* Return where the match of steps at a place ends; NONE if there is none. */
static Py_ssize_t match(const Step *step, const Step *end, const Text *text, Py_ssize_t at) {
    for (; step < end; step++) {
        if (step->kind == BOUNDARY) {
            if (is_word(text, at - 1) == is_word(text, at))
                return NONE;
            continue;
        }
        Py_ssize_t most = step->most < text->size - at ? step->most : text->size - at, taken = 0;
        while (taken < most && step->set[text->data[at + taken]])
            taken++;
        if (taken < step->least)
            return NONE;
        if (taken > step->least && step->kind != POSSESSIVE)
            return match_choice(step, end, text, at, taken);
        at += taken;
    }
    return at;
}

typedef struct {
    Py_ssize_t start, end;
} Span;

/* Try the places from `from` to before `until`, in turn. */
static int try_places(const Expression *self, const Text *text, Py_ssize_t from, Py_ssize_t until, Span *found) {
    for (Py_ssize_t at = from; at < until; at++) {
        Py_ssize_t end = match(self->steps, self->steps + self->count, text, at);
        if (end != NONE) {
            *found = (Span){at, end};
            return 1;
        }
    }
    return 0;
}

/* Find the leftmost match that begins at `from` or later. */
static int find(const Expression *self, const Text *text, Py_ssize_t from, Span *found) {
    if (self->anchor == NONE) {
        for (Py_ssize_t at = from; at < text->size; at++)
            if (self->before[text->data[at]] && try_places(self, text, at, at + 1, found))
                return 1;
        return 0;
    }
    const unsigned char *literal;
    while (from < text->size && (literal = memchr(text->data + from, self->literal, text->size - from))) {
        Py_ssize_t at = literal - text->data, start = at;
        while (start > from && self->before[text->data[start - 1]])
            start--;
        if (try_places(self, text, start, at + 1, found))
            return 1;
        from = at + 1;
    }
    return 0;
}

/* ------------------------------------------------------------------ masking */

typedef struct {
    Span *spans, first[8];
    Py_ssize_t count, room;
} Spans;

static int add_span(Spans *spans, Span span) {
    if (spans->count == spans->room) {
        Span *more = PyMem_New(Span, 2 * spans->room);
        if (more == NULL)
            return 0;
        memcpy(more, spans->spans, spans->count * sizeof(Span));
        if (spans->spans != spans->first)
            PyMem_Free(spans->spans);
        spans->spans = more;
        spans->room *= 2;
    }
    spans->spans[spans->count++] = span;
    return 1;
}

/* Make a text of what lies between the spans, and of the replacement in place of each. */
static PyObject *replaced(PyObject *text, PyObject *replacement, const Spans *spans) {
    Py_ssize_t size = PyUnicode_GET_LENGTH(text), length = PyUnicode_GET_LENGTH(replacement), to = 0, from = 0;
    Py_ssize_t whole = size + spans->count * length;
    for (Py_ssize_t i = 0; i < spans->count; i++)
        whole -= spans->spans[i].end - spans->spans[i].start;
    PyObject *made = PyUnicode_New(whole, PyUnicode_MAX_CHAR_VALUE(replacement));
    for (Py_ssize_t i = 0; made && i <= spans->count; i++) {
        Span span = i < spans->count ? spans->spans[i] : (Span){size, size};
        if (PyUnicode_CopyCharacters(made, to, text, from, span.start - from) < 0)
            Py_CLEAR(made);
        to += span.start - from;
        from = span.end;
        if (made && i < spans->count && PyUnicode_CopyCharacters(made, to, replacement, 0, length) < 0)
            Py_CLEAR(made);
        to += length;
    }
    return made;
}

static PyObject *Expression_mask(Expression *self, PyObject *const *args, Py_ssize_t count) {
    if (count != 2 || !PyUnicode_Check(args[0]) || !PyUnicode_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "mask takes a text and its replacement");
        return NULL;
    }
    PyObject *string = args[0];
    if (!PyUnicode_IS_ASCII(string))
        return PyObject_Vectorcall(self->otherwise, args, count, NULL);
    Text text = {PyUnicode_1BYTE_DATA(string), PyUnicode_GET_LENGTH(string)};
    Spans spans = {.spans = spans.first, .room = sizeof(spans.first) / sizeof(Span)};
    Span found = {0, 0};
    int there = 1;
    while (there && find(self, &text, found.end, &found))
        there = add_span(&spans, found);
    PyObject *made = NULL;
    if (!there)
        PyErr_NoMemory();
    else
        made = spans.count ? replaced(string, args[1], &spans) : Py_NewRef(string);
    if (spans.spans != spans.first)
        PyMem_Free(spans.spans);
    return made;
}

/* ------------------------------------------------------------------ the type */

static int read_step(PyObject *item, Step *step) {
    const char *set;
    Py_ssize_t size;
    int kind;
    if (!PyTuple_Check(item)) {
        PyErr_SetString(PyExc_TypeError, "a step is a tuple");
        return 0;
    }
    if (!PyArg_ParseTuple(item, "iy#nn", &kind, &set, &size, &step->least, &step->most))
        return 0;
    if (size != CHARACTERS || kind < BOUNDARY || kind > POSSESSIVE) {
        PyErr_SetString(PyExc_ValueError, "a step is a kind, whether it takes each of 128 characters, and how many");
        return 0;
    }
    step->kind = kind;
    memcpy(step->set, set, CHARACTERS);
    return 1;
}

static void add_set(char *to, const Step *step) {
    for (int each = 0; each < CHARACTERS; each++)
        to[each] |= step->set[each];
}

/* Find the first step that takes one character, at least once, that no step before it takes. */
static void find_anchor(Expression *self) {
    self->anchor = NONE;
    memset(self->before, 0, CHARACTERS);
    for (Py_ssize_t i = 0; i < self->count; i++) {
        const Step *step = self->steps + i;
        const char *only = step->least ? memchr(step->set, 1, CHARACTERS) : NULL;
        if (only && memchr(only + 1, 1, step->set + CHARACTERS - only - 1) == NULL &&
            !self->before[only - step->set]) {
            self->anchor = i;
            self->literal = (char)(only - step->set);
            return;
        }
        add_set(self->before, step);
    }
    memset(self->before, 0, CHARACTERS);
    for (Py_ssize_t i = 0; i < self->count; i++) {
        add_set(self->before, self->steps + i);
        if (self->steps[i].least)
            return;
    }
}

static PyObject *Expression_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    PyObject *steps, *otherwise;
    static char *parameters[] = {"", "", NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O:Expression", parameters, &PyTuple_Type, &steps, &otherwise))
        return NULL;
    Expression *self = (Expression *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->otherwise = Py_NewRef(otherwise);
    self->steps = PyMem_New(Step, PyTuple_GET_SIZE(steps));
    if (self->steps == NULL)
        PyErr_NoMemory();
    while (!PyErr_Occurred() && self->count < PyTuple_GET_SIZE(steps))
        self->count += read_step(PyTuple_GET_ITEM(steps, self->count), self->steps + self->count);
    if (!PyErr_Occurred()) {
        find_anchor(self);
        return (PyObject *)self;
    }
    Py_DECREF(self);
    return NULL;
}

static int Expression_traverse(Expression *self, visitproc visit, void *arg) {
    Py_VISIT(self->otherwise);
    return 0;
}

static int Expression_clear(Expression *self) {
    Py_CLEAR(self->otherwise);
    return 0;
}

static void Expression_dealloc(Expression *self) {
    PyObject_GC_UnTrack(self);
    Expression_clear(self);
    PyMem_Free(self->steps);
    Py_TYPE(self)->tp_free(self);
}

static PyMethodDef methods[] = {
    {"mask", (PyCFunction)(void (*)(void))Expression_mask, METH_FASTCALL,
     "Replace what matches in a text; the same object where nothing does."},
    {NULL},
};

PyTypeObject Expression_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pipeline._native.Expression",
    .tp_doc = PyDoc_STR("Expression(steps, otherwise): masks what it matches; `otherwise` does where a text is not ASCII."),
    .tp_basicsize = sizeof(Expression),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = Expression_new,
    .tp_dealloc = (destructor)Expression_dealloc,
    .tp_traverse = (traverseproc)Expression_traverse,
    .tp_clear = (inquiry)Expression_clear,
    .tp_methods = methods,
};
