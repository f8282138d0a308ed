package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// maxPrepared bounds how many statements a connection keeps. An application has
// some for each type of its events; one that makes them up has them all forgotten.
const maxPrepared = 200

// preparing makes connections that keep the statements with which the application
// changes its tables: to understand one takes SQLite longer than to execute it.
type preparing struct{ driver.Connector }

// driverConn is what a connection of the driver can do.
type driverConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// Connect implements [driver.Connector].
func (p preparing) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	full, ok := conn.(driverConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the driver's connection is a %T, which lacks methods", conn), conn.Close())
	}
	return &preparingConn{full, map[string]driver.Stmt{}}, nil
}

type preparingConn struct {
	driverConn
	prepared map[string]driver.Stmt
}

// ExecContext implements [driver.ExecerContext].
func (c *preparingConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	if !changes(text) {
		return c.driverConn.ExecContext(ctx, text, args)
	}
	s, err := c.statement(ctx, text)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args)
}

// changes reports whether a statement is one of those that change rows. Others
// are rare, and some have their effect while they are prepared.
func changes(text string) bool {
	text = strings.TrimSpace(text)
	end := max(strings.IndexFunc(text, unicode.IsSpace), 0)
	switch strings.ToUpper(text[:end]) {
	case "INSERT", "UPDATE", "DELETE", "REPLACE":
		return true
	}
	return false
}

func (c *preparingConn) statement(ctx context.Context, text string) (driver.StmtExecContext, error) {
	s, ok := c.prepared[text]
	if !ok {
		if len(c.prepared) >= maxPrepared {
			if err := c.forget(); err != nil {
				return nil, err
			}
		}
		var err error
		if s, err = c.PrepareContext(ctx, text); err != nil {
			return nil, err
		}
		c.prepared[text] = s
	}
	execer, ok := s.(driver.StmtExecContext)
	if !ok {
		return nil, fmt.Errorf("the driver's statement is a %T, which lacks methods", s)
	}
	return execer, nil
}

func (c *preparingConn) forget() error {
	var errs []error
	for text, s := range c.prepared {
		errs = append(errs, s.Close())
		delete(c.prepared, text)
	}
	return errors.Join(errs...)
}

// Close implements [driver.Conn].
func (c *preparingConn) Close() error { return errors.Join(c.forget(), c.driverConn.Close()) }
