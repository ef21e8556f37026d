/* Masks what a simple regular expression matches in a text of ASCII: what `_mask_by_re` in
   observability/patterns.py does.

   Simple is a sequence of steps, each a set of characters that is repeated, or a word's boundary. Matches are
   those of `re`: the leftmost, and of these the one that backtracking finds first. Two things make it fast: a set
   is a table, and where a step takes one character that no step before it takes (the @ of an address), that
   character is looked for, and matches are tried from the run of characters in front of it only. */

#include "native.h"

#include <string.h>

enum {
    CHARACTERS = 128,
    NONE = -1,
    STOPPED = -2,           /* by a signal, as the error that its handler raised says */
    SIGNALS_EVERY = 1 << 16 /* characters that were looked at, or so */
};

typedef enum { BOUNDARY, GREEDY, LAZY, POSSESSIVE } Kind;

typedef struct {
    Kind kind;
    Py_ssize_t least, most, needs; /* characters: of it; of it and those after it at least */
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
    Py_ssize_t size, looked_at; /* since signals were asked for */
} Text;

/* Whether a signal stops it: what takes a step many ways may take long. */
static int is_stopped(Text *text, Py_ssize_t looked_at) {
    text->looked_at += looked_at;
    if (text->looked_at < SIGNALS_EVERY)
        return 0;
    text->looked_at = 0;
    return PyErr_CheckSignals() < 0;
}

static int is_word(const Text *text, Py_ssize_t at) {
    return at >= 0 && at < text->size && (Py_ISALNUM(text->data[at]) || text->data[at] == '_');
}

/* Whether what comes after a step may begin at a place: asked before it is tried, for it mostly says no. */
static int may_follow(const Step *step, const Step *end, const Text *text, Py_ssize_t at) {
    const Step *next = step + 1;
    return next == end || next->kind == BOUNDARY || next->least == 0 ||
           (at < text->size && next->set[text->data[at]]);
}

static Py_ssize_t match(const Step *step, const Step *end, Text *text, Py_ssize_t at);

/* Match a step that takes up to `taken` characters, as many as it can, and those after it. */
static Py_ssize_t match_greedy(const Step *step, const Step *end, Text *text, Py_ssize_t at, Py_ssize_t taken) {
    Py_ssize_t matched = NONE;
    for (; matched == NONE && taken >= step->least; taken--)
        if (may_follow(step, end, text, at + taken))
            matched = match(step + 1, end, text, at + taken);
    return matched;
}

/* Match a step that takes up to `most` characters, as few as it can, and those after it; `least` it took. */
static Py_ssize_t match_lazy(const Step *step, const Step *end, Text *text, Py_ssize_t at, Py_ssize_t most) {
    for (Py_ssize_t taken = step->least;; taken++) {
        Py_ssize_t matched = is_stopped(text, 1) ? STOPPED : NONE;
        if (matched == NONE && may_follow(step, end, text, at + taken))
            matched = match(step + 1, end, text, at + taken);
        if (matched != NONE || taken == most || !step->set[text->data[at + taken]])
            return matched;
    }
}

/* Return where the match of steps at a place ends; NONE if there is none. */
static Py_ssize_t match(const Step *step, const Step *end, Text *text, Py_ssize_t at) {
    for (; step < end; step++) {
        Py_ssize_t room = text->size - at, taken = 0;
        if (room < step->needs)
            return NONE;
        if (step->kind == BOUNDARY) {
            if (is_word(text, at - 1) == is_word(text, at))
                return NONE;
            continue;
        }
        if (step->kind != POSSESSIVE)
            room -= step->needs - step->least; /* for those after it */
        Py_ssize_t most = step->most < room ? step->most : room, first = step->kind == LAZY ? step->least : most;
        while (taken < first && step->set[text->data[at + taken]])
            taken++;
        if (is_stopped(text, taken + 1))
            return STOPPED;
        if (taken < step->least)
            return NONE;
        if (step->kind == LAZY)
            return match_lazy(step, end, text, at, most);
        if (taken > step->least && step->kind == GREEDY)
            return match_greedy(step, end, text, at, taken);
        at += taken;
    }
    return at;
}

typedef struct {
    Py_ssize_t start, end;
} Span;

/* Try the places from `from` to before `until`, in turn; return whether there is one, and STOPPED. */
static int try_places(const Expression *self, Text *text, Py_ssize_t from, Py_ssize_t until, Span *found) {
    Py_ssize_t end = NONE;
    for (Py_ssize_t at = from; end == NONE && at < until; at++) {
        end = match(self->steps, self->steps + self->count, text, at);
        *found = (Span){at, end};
    }
    return end == STOPPED ? STOPPED : end != NONE;
}

/* Find the leftmost match that begins at `from` or later; return whether there is one, and STOPPED. */
static int find(const Expression *self, Text *text, Py_ssize_t from, Span *found) {
    int there = 0;
    if (self->anchor == NONE) {
        for (Py_ssize_t at = from; !there && at < text->size; at++)
            if (self->before[text->data[at]])
                there = try_places(self, text, at, at + 1, found);
        return there;
    }
    const unsigned char *literal;
    while (!there && from < text->size &&
           (literal = memchr(text->data + from, self->literal, text->size - from))) {
        Py_ssize_t at = literal - text->data, start = at;
        while (start > from && self->before[text->data[start - 1]])
            start--;
        there = try_places(self, text, start, at + 1, found);
        from = at + 1;
    }
    return there;
}

/* ------------------------------------------------------------------ masking */

typedef struct {
    Span *spans, first[8];
    Py_ssize_t count, room;
} Spans;

static int add_span(Spans *spans, Span span) {
    if (spans->count == spans->room) {
        Span *more = PyMem_New(Span, 2 * spans->room);
        if (more == NULL) {
            PyErr_NoMemory();
            return 0;
        }
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
    Text text = {PyUnicode_1BYTE_DATA(string), PyUnicode_GET_LENGTH(string), 0};
    Spans spans = {.spans = spans.first, .room = sizeof(spans.first) / sizeof(Span)};
    Span found = {0, 0};
    int there;
    while ((there = find(self, &text, found.end, &found)) == 1 && add_span(&spans, found))
        ;
    PyObject *made = NULL;
    if (there == 0)
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
    if (step->least < 0 || step->most < step->least) {
        PyErr_SetString(PyExc_ValueError, "a step takes at least no character, and at most not fewer");
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

/* Add up what steps need; return whether it is anything, without which a match would not go on. */
static int add_needs(Expression *self) {
    Py_ssize_t needs = 0;
    for (Step *step = self->steps + self->count; step-- > self->steps;) {
        needs = step->least < PY_SSIZE_T_MAX - needs ? needs + step->least : PY_SSIZE_T_MAX;
        step->needs = needs;
    }
    if (needs == 0)
        PyErr_SetString(PyExc_ValueError, "an expression matches one character at least");
    return needs > 0;
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
    if (!PyErr_Occurred() && add_needs(self)) {
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
