package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/ledger"
)

const (
	// maxLetterEvents is how many events of a dead letter an answer has at most.
	maxLetterEvents = 1000
	// maxBy bounds who repairs something, in bytes.
	maxBy = store.MaxIDBytes + len(ledger.Unverified)
)

// pageRequest asks for a page of what belongs to a view. Empty: the first page.
type pageRequest struct {
	viewRequest
	Cursor string `json:"cursor"`
	Limit  int    `json:"limit"`
}

// letterList answers a page of the dead letters of a view, in the order of the
// events that they wait at. What they were edited to is left to dlq.get: it may
// be as large as an event.
func (g *Gateway) letterList(ctx context.Context, ask pageRequest) (any, error) {
	all, err := g.config.Operators.DeadLetters(ctx, ask.View)
	if err != nil {
		return nil, err
	}
	all = slices.Clone(all)
	for i := range all {
		all[i].Edited = nil
	}
	letters, next, err := pageOf(all, ask.Cursor, ask.Limit, g.maxReplyBytes(), func(l projector.DeadLetter) string { return sortKey(l.Position, l.ID) })
	return lettersResponse{Type: typeLetters, Letters: nonNil(letters), Next: next}, err
}

func (g *Gateway) letterSkipped(ctx context.Context, ask pageRequest) (any, error) {
	all, err := g.config.Operators.Skipped(ctx, ask.View)
	if err != nil {
		return nil, err
	}
	skipped, next, err := pageOf(all, ask.Cursor, ask.Limit, g.maxReplyBytes(), func(s projector.Skipped) string { return sortKey(s.Position, s.String()) })
	return skippedResponse{Type: typeSkipped, Skipped: nonNil(skipped), Next: next}, err
}

// sortKey orders by position; name tells apart what stands at the same.
func sortKey(p store.Position, name string) string { return fmt.Sprintf("%020d.%s", p, name) }

// pageOf returns those that follow the cursor in the order of their keys, as
// many as are asked for and fit, and the next cursor.
func pageOf[T any](all []T, cursor string, limit, room int, key func(T) string) (page []T, next string, err error) {
	if limit == 0 {
		limit = defaultPage
	}
	if limit < 0 || limit > projector.MaxPage {
		return nil, "", &store.InvalidError{What: "limit", Value: strconv.Itoa(limit), Reason: "out of [1, " + strconv.Itoa(projector.MaxPage) + "]"}
	}
	all = slices.DeleteFunc(slices.Clone(all), func(t T) bool { return key(t) <= cursor })
	slices.SortFunc(all, func(a, b T) int { return strings.Compare(key(a), key(b)) })
	const frame = 256
	room -= frame
	for i, t := range all {
		size, err := sizeInJSON(t)
		if err != nil {
			return nil, "", err
		}
		if room -= size; i > 0 && (i == limit || room < 0) {
			return all[:i], key(all[i-1]), nil
		}
	}
	return all, "", nil
}

// letterRequest names a dead letter.
type letterRequest struct {
	viewRequest
	ID string `json:"id"`
}

func (r letterRequest) letter() string { return r.ID }

type letterEventsRequest struct {
	letterRequest
	Limit int `json:"limit"`
}

// letterGet answers a dead letter and the first events that wait in it, as many
// as fit; how many there are the letter says.
func (g *Gateway) letterGet(ctx context.Context, ask letterEventsRequest) (any, error) {
	if ask.Limit == 0 {
		ask.Limit = maxLetterEvents
	}
	if ask.Limit < 0 || ask.Limit > maxLetterEvents {
		return nil, &store.InvalidError{What: "limit", Value: strconv.Itoa(ask.Limit), Reason: "out of [1, " + strconv.Itoa(maxLetterEvents) + "]"}
	}
	letter, err := g.letter(ctx, ask.View, ask.ID)
	if err != nil {
		return nil, err
	}
	events, err := g.config.Operators.LetterEvents(ctx, ask.View, ask.ID, ask.Limit)
	if err != nil {
		return nil, err
	}
	return g.letterAnswer(letter, events)
}

func (g *Gateway) letterAnswer(letter projector.DeadLetter, events []projector.LetterEvent) (any, error) {
	const frame = 256
	size, err := sizeInJSON(letter)
	if err != nil {
		return nil, err
	}
	room := g.maxReplyBytes() - frame - size
	answer := letterResponse{Type: typeLetter, Letter: letter, Events: []LetterEvent{}}
	for i, e := range events {
		shown := LetterEvent{LetterEvent: e}
		if size, err = sizeInJSON(shown); err != nil {
			return nil, err
		}
		if size > room && i == 0 { // even alone it is too large for an answer
			shown.Data, shown.Raw, shown.Omitted, size = nil, nil, true, 0
		}
		if room -= size; room < 0 {
			break
		}
		answer.Events = append(answer.Events, shown)
	}
	return answer, nil
}

// sizeInJSON is what v takes in a list.
func sizeInJSON(v any) (int, error) {
	data, err := json.Marshal(v)
	return len(data) + len(","), err
}

// letter finds a dead letter, also where only its worker is.
func (g *Gateway) letter(ctx context.Context, view, id string) (projector.DeadLetter, error) {
	return g.config.Operators.Letter(ctx, view, id)
}

func (g *Gateway) letterRetry(ctx context.Context, ask letterRequest) (any, error) {
	return released(g.config.Operators.Retry(ctx, ask.View, ask.ID))
}

// released answers what became of a dead letter.
func released(l projector.DeadLetter, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	if l.ID == "" {
		return releasedResponse{Type: typeReleased, Released: true}, nil
	}
	return releasedResponse{Type: typeReleased, Letter: &l}, nil
}

// repairRequest is common to edit and skip. At is the version of the event that
// was looked at: a request that comes twice must not meet the next one.
type repairRequest struct {
	letterRequest
	At uint64 `json:"at"`
}

type editRequest struct {
	repairRequest
	Data json.RawMessage `json:"data"`
}

// skipRequest has the reason in Reason or in Why, and once it is read in Reason alone.
type skipRequest struct {
	repairRequest
	Reason string `json:"reason"`
}

// check finds the letter, and refuses what was meant for another event of it.
func (r repairRequest) check(ctx context.Context, g *Gateway) (projector.DeadLetter, error) {
	if err := checkText("by", r.By, maxBy); err != nil {
		return projector.DeadLetter{}, err
	}
	letter, err := g.letter(ctx, r.View, r.ID)
	if err == nil && letter.At != r.At {
		err = &store.ConflictError{Stream: letter.Stream, Expected: r.At, Actual: letter.At}
	}
	return letter, err
}

func (g *Gateway) letterEdit(ctx context.Context, ask editRequest) (any, error) {
	if len(ask.Data) == 0 {
		return nil, &store.InvalidError{What: "data", Reason: "it is needed"}
	}
	letter, err := ask.check(ctx, g)
	if err != nil {
		return nil, err
	}
	if err := g.config.Operators.Edit(ctx, ask.View, ask.ID, ask.At, ask.Data, ask.By); err != nil {
		return nil, err
	}
	// It is edited, whatever can be found out now, and by then perhaps released.
	letter.Edited, letter.By = ask.Data, ask.By
	if now, err := g.letter(ctx, ask.View, ask.ID); err == nil {
		letter = now
	}
	return g.letterAnswer(letter, nil)
}

func (g *Gateway) letterSkip(ctx context.Context, ask skipRequest) (any, error) {
	if _, err := ask.check(ctx, g); err != nil {
		return nil, err
	}
	return released(g.config.Operators.Skip(ctx, ask.View, ask.ID, ask.At, ask.Reason, ask.By))
}
