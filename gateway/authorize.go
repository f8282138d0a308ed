package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/annals-go/annals/store"
)

// Kind is what sort of thing is asked for.
type Kind string

// The kinds.
const (
	// KindCommand: a command.
	KindCommand Kind = "command"
	// KindQuery: documents of a view, how far views are, what changes in them.
	KindQuery Kind = "query"
	// KindInspect: states and histories of aggregates, and how the system is doing.
	KindInspect Kind = "inspect"
	// KindOperate: whatever changes how the system runs, and no aggregate.
	KindOperate Kind = "operate"
	// KindPersonal: forgetting and exporting what is held about a person.
	KindPersonal Kind = "personal"
)

// The roles that a token may give.
const (
	// RoleClient sends commands and queries views.
	RoleClient = "client"
	// RoleViewer sees everything and changes nothing.
	RoleViewer = "viewer"
	// RoleOperator sees everything, sends commands and operates the system.
	RoleOperator = "operator"
	// RolePrivacyOfficer sees everything, and forgets and exports persons.
	RolePrivacyOfficer = "privacy-officer"
	// RoleAdmin may do all of it.
	RoleAdmin = "admin"
)

// Roles are all of them.
func Roles() []string {
	return []string{RoleClient, RoleViewer, RoleOperator, RolePrivacyOfficer, RoleAdmin}
}

// grants are what each role may do.
var grants = map[string][]Kind{
	RoleClient:         {KindCommand, KindQuery},
	RoleViewer:         {KindQuery, KindInspect},
	RoleOperator:       {KindCommand, KindQuery, KindInspect, KindOperate},
	RolePrivacyOfficer: {KindQuery, KindInspect, KindPersonal},
	RoleAdmin:          {KindCommand, KindQuery, KindInspect, KindOperate, KindPersonal},
}

// Grants reports whether one of the roles allows a kind. A role that there is not
// allows nothing.
func Grants(roles []string, kind Kind) bool {
	return slices.ContainsFunc(roles, func(role string) bool { return slices.Contains(grants[role], kind) })
}

// ErrForbidden says that the asker is known, or known to be nobody, and may not do
// what it asks for: [CodeForbidden].
var ErrForbidden = errors.New("forbidden")

// Ask is what an authorizer is asked: may this asker do that?
type Ask struct {
	// Principal is empty for an anonymous asker. Roles are those of its token, or
	// those that [Authentication] gives to an asker that a subject names.
	Principal string
	Roles     []string
	// Tenant is the namespace.
	Tenant string
	Kind   Kind
	// Aggregate and View are what it is about, one of them or none; ID is that of the
	// instance, the key of the document or the id of the dead letter, if it is about
	// one.
	Aggregate, View, ID string
	// Name is the command, or the verb: get, query, watch, and those of control
	// requests, such as aggregate.history and dlq.skip.
	Name string
}

// permit returns nil if the asker may do what it asks for: its roles allow
// it, if they bind, and so does Config.Authorize. What another node passes on was permitted
// there.
func (g *Gateway) permit(r *request, ask Ask) (err error) {
	if r.endpoint.passed {
		return nil
	}
	ask.Principal, ask.Roles, ask.Tenant = r.who.Principal, r.who.Roles, g.config.Namespace
	if r.who.binding && !Grants(ask.Roles, ask.Kind) {
		return fmt.Errorf("%w: %s is of kind %s, which the roles of the asker do not include: %s", ErrForbidden, ask.Name, ask.Kind, strings.Join(ask.Roles, ", "))
	}
	if g.config.Authorize == nil {
		return nil
	}
	return refusal(g.authorized(ask))
}

// authorized asks Config.Authorize, whose panic is a no.
func (g *Gateway) authorized(ask Ask) (err error) {
	defer func() {
		if p := recover(); p != nil {
			g.config.Logger.Error("authorizer panicked", "panic", fmt.Sprint(p), "kind", string(ask.Kind), "name", ask.Name)
			err = ErrForbidden
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), g.config.Timeout)
	defer cancel()
	return g.config.Authorize(ctx, ask)
}

// refusal is what an authorizer's error is on the wire. Its text is told, and what
// else it matches is not: a no has to look like one.
func refusal(err error) error {
	switch {
	case err == nil, errors.Is(err, ErrUnauthenticated):
		return err
	case errors.Is(err, store.ErrUnavailable):
		return fmt.Errorf("%w: %s", store.ErrUnavailable, without(err, store.ErrUnavailable))
	case err == ErrForbidden: //nolint:errorlint // by itself it has no more to say
		return err
	}
	return fmt.Errorf("%w: %s", ErrForbidden, without(err, ErrForbidden))
}

// without is the text of an error that need not say twice what it matches.
func without(err, sentinel error) string {
	return strings.TrimPrefix(err.Error(), sentinel.Error()+": ")
}

// verb is the last part of a control request's path.
func (r *request) verb() string { return strings.TrimPrefix(r.path, pathControl) }
