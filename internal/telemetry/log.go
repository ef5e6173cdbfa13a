package telemetry

import (
	"fmt"
	"io"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Log is a logger's settings.
type Log struct {
	// Level is debug, info, warn or error.
	Level string
	// Format is json or console.
	Format string
}

// NewLogger returns a logger that writes to out, and its level, which may be
// changed while it is used. What looks like a secret does not get out. An unknown
// level or format is an error.
func NewLogger(cfg Log, out io.Writer) (*zap.Logger, zap.AtomicLevel, error) {
	level, err := zap.ParseAtomicLevel(cfg.Level)
	if err != nil {
		return nil, level, fmt.Errorf("log level %q: want debug, info, warn or error", cfg.Level)
	}
	var enc zapcore.Encoder
	switch cfg.Format {
	case "json":
		c := zap.NewProductionEncoderConfig()
		c.EncodeTime = zapcore.ISO8601TimeEncoder
		c.EncodeDuration = zapcore.StringDurationEncoder
		enc = zapcore.NewJSONEncoder(c)
	case "console":
		c := zap.NewDevelopmentEncoderConfig()
		c.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		c.EncodeDuration = zapcore.StringDurationEncoder
		enc = zapcore.NewConsoleEncoder(c)
	default:
		return nil, level, fmt.Errorf("log format %q: want json or console", cfg.Format)
	}
	return zap.New(zapcore.NewCore(enc, zapcore.Lock(zapcore.AddSync(discreet{out})), level)), level, nil
}
