# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The least that a command with standard input can cost: what `raw: true` is for one without."""
from __future__ import annotations

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        answer = self._low_level_execute_command('cat >/dev/null', in_data=b'{}' * 500, executable=self._play_context.executable)
        result.update(changed=False, failed=answer['rc'] != 0)
        return result
