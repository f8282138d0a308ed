package node

import (
	"errors"
	"fmt"
	"slices"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
)

// kind is a kind of failure: which errors are of it, and what to tell people.
type kind struct {
	code    gateway.Code
	exit    int
	errs    []error // those that match any of them
	meaning string
	advice  string // {{name}} is the binary
}

func (k kind) matches(err error) bool {
	return slices.ContainsFunc(k.errs, func(target error) bool { return errors.Is(err, target) })
}

// fix is the advice with the binary's name in it.
func (k kind) fix(s *Session) string { return console.WithName(k.advice, s.app.Name) }

// fixOf is the advice about an error: one that time alone does not mend is not to be tried again soon.
func (k kind) fixOf(s *Session, err error) string {
	e, is := errors.AsType[*gateway.Error](err)
	if is && k.code == gateway.CodeUnavailable && e.RetryAfter() > 0 {
		return fmt.Sprintf("see to what it names; asked again within %v it says the same", e.RetryAfter())
	}
	return k.fix(s)
}
