package dispatcher

import (
	"errors"
	"os"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/audit"
)

// errNoAuditKey is returned for an export that nothing could vouch for.
var errNoAuditKey = errors.New("GAVEL_AUDIT_EXPORT is set and GAVEL_AUDIT_KEY_FILE is not: an export that is not signed proves nothing; make a key with: gavel audit key FILE")

// newSealer is who seals the audit; nil without a key.
func newSealer(cfg Config, log *audit.Redis, zlog *zap.Logger) (*audit.Sealer, error) {
	key := cfg.AuditKey
	if cfg.AuditKeyFile != "" {
		var err error
		if key, err = audit.ReadKey(cfg.AuditKeyFile); err != nil {
			return nil, err
		}
	}
	if key == nil {
		if cfg.AuditExport != "" {
			return nil, errNoAuditKey
		}
		zlog.Warn("the audit is not sealed: whoever can write to Redis can change it unseen; set GAVEL_AUDIT_KEY_FILE")
		return nil, nil //nolint:nilnil // none is an answer
	}
	sealing := audit.SealerConfig{Key: key, Log: zlog}
	if cfg.AuditExport != "" {
		var err error
		if sealing.Sink, err = audit.OpenSink(cfg.AuditExport, os.Stdout); err != nil {
			return nil, err
		}
	}
	return audit.NewSealer(log, sealing)
}
