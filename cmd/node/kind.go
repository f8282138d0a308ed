package node

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

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

// viewOf is the view that a command line names where its usage has VIEW; "VIEW" if it names none, or one that a
// shell would not take as it stands.
func viewOf(cmd *cobra.Command, args []string) string {
	at := slices.Index(strings.Fields(strings.NewReplacer("[", "", "]", "", "...", "").Replace(cmd.Use)), "VIEW") - 1
	if at < 0 || at >= len(args) || !unquoted.MatchString(args[at]) {
		return "VIEW"
	}
	return args[at]
}

var unquoted = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`)

// fixOf is the advice about an error, with the view that the command line names: an error that time alone does not mend is not to be tried again soon.
func (k kind) fixOf(s *Session, err error) string {
	e, is := errors.AsType[*gateway.Error](err)
	if is && k.code == gateway.CodeUnavailable && e.RetryAfter() > 0 {
		return fmt.Sprintf("see to what it names; asked again within %v it says the same", e.RetryAfter())
	}
	return strings.ReplaceAll(k.fix(s), " VIEW", " "+cmp.Or(s.view, "VIEW"))
}
