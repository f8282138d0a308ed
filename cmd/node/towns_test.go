package node_test

import (
	"context"
	"database/sql"
	"strconv"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// towns is an application with the same events as homes, and views in SQL: one that tells what it holds
// about persons, one that does not, and one that holds nothing.

// neighbour is a row of the view neighbours: somebody who lives in a house, and what was said there.
type neighbour struct {
	Nth   int64  `json:"nth"`
	House string `json:"house"`
	Who   string `json:"who"`
	Name  string `json:"name" personal:"who"`
	About string `json:"about"`
	Text  string `json:"text" personal:"about"`
}

var neighbours = projector.Tables[note]{
	Name: "neighbours", Version: 3, Types: []string{households.Type}, Events: households.Events,
	Tables: []string{`CREATE TABLE neighbours (nth BIGINT PRIMARY KEY, house TEXT, who TEXT, name TEXT, about TEXT, text TEXT)`},
	Apply: func(ctx context.Context, tx *sql.Tx, e store.Recorded[note]) (err error) {
		for _, m := range e.Data.Members {
			_, err = tx.ExecContext(ctx, `INSERT INTO neighbours (nth, house, who, name, about, text) SELECT count(*) + 1, $1, $2, $3, $4, $5 FROM neighbours`,
				e.Stream.ID, m.ID, m.Name, e.Data.About, e.Data.Text)
		}
		return err
	},
	Forgotten: func(ctx context.Context, tx *sql.Tx, n privacy.Notice) error {
		_, err := tx.ExecContext(ctx, `UPDATE neighbours SET text = '' WHERE about = $1`, n.Subject)
		if err == nil {
			_, err = tx.ExecContext(ctx, `DELETE FROM neighbours WHERE who = $1`, n.Subject)
		}
		return err
	},
	Held: []projector.Held{projector.RowsOf("neighbours", neighboursOf)},
}

func neighboursOf(ctx context.Context, tx *sql.Tx, q projector.HeldQuery) (found []projector.Row[neighbour], err error) {
	after, _ := strconv.ParseInt(q.After, 10, 64) // 0, which no row has, before the first
	rows, err := tx.QueryContext(ctx, `SELECT nth, house, who, name, about, text FROM neighbours
		WHERE nth > $1 AND (who = $2 OR about = $2) ORDER BY nth LIMIT $3`, after, q.Subject, q.Limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var n neighbour
		if err := rows.Scan(&n.Nth, &n.House, &n.Who, &n.Name, &n.About, &n.Text); err != nil {
			return nil, err
		}
		found = append(found, projector.Row[neighbour]{Key: strconv.FormatInt(n.Nth, 10), Row: n})
	}
	return found, rows.Err()
}

// gossip has a copy of what was said, and cannot tell of whom.
var gossip = projector.Tables[note]{
	Name: "gossip", Types: []string{households.Type}, Events: households.Events,
	Tables: []string{`CREATE TABLE gossip (about TEXT, text TEXT)`},
	Apply: func(ctx context.Context, tx *sql.Tx, e store.Recorded[note]) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO gossip (about, text) VALUES ($1, $2)`, e.Data.About, e.Data.Text)
		return err
	},
	Forgotten: func(ctx context.Context, tx *sql.Tx, n privacy.Notice) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM gossip WHERE about = $1`, n.Subject)
		return err
	},
}

// tally counts notes.
var tally = projector.Tables[note]{
	Name: "tally", Types: []string{households.Type}, Events: households.Events, Impersonal: true,
	Tables: []string{`CREATE TABLE tally (house TEXT)`},
	Apply: func(ctx context.Context, tx *sql.Tx, e store.Recorded[note]) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO tally (house) VALUES ($1)`, e.Stream.ID)
		return err
	},
}

var towns = node.App{Name: "towns", Aggregates: []actor.Definition{households}, Projections: []projector.Definition{boards, neighbours, gossip, tally}}
