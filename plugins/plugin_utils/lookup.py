# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From an expression to the executable, and to the one value of the result."""
from __future__ import annotations

import fcntl
import hmac
import json
import os
import tempfile

from ansible import constants as C
from ansible.errors import AnsibleLookupError
from ansible.module_utils.common.text.converters import to_bytes
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display
from ansible_collections.tokensmith.redhat.plugins.plugin_utils.native import COLLECTION, Refusal, executable_for, plain, result_of

display = Display()


class NativeLookup(LookupBase):
    """A module that is an executable, run on this machine for the token that it returns.

    An expression is evaluated again and again, in many processes. What keeps them apart and holds the token until it is about to end is the executable: it is
    told to hand the token over to a file of this run.
    """

    MODULE = ''
    RETURNS = ''  # the key of the result that is wanted
    SECRETS = ()  # the keys of a result that hold a secret
    LEFT_OUT = ()  # the options of the module that a lookup has not

    def run(self, terms, variables=None, **options):
        try:
            result = self._result(terms, {name: plain(value) for name, value in options.items()})
        except Refusal as refusal:
            raise AnsibleLookupError(str(refusal)) from None
        for warning in result.get('warnings', ()):
            display.warning(warning)
        if result.get('failed') or self.RETURNS not in result:
            raise AnsibleLookupError(result.get('msg', f'There is no {self.RETURNS} in the result.') + self._saved(result))
        return [result[self.RETURNS]]

    def _result(self, terms, options):
        name = f'{COLLECTION}.{self.MODULE}'
        if terms:
            raise Refusal(f"The lookup {name} takes no terms. Write each option with its name: lookup('{name}', option='value').")
        for option in sorted(set(options).intersection(self.LEFT_OUT)):
            raise Refusal(f'{option} is an option of the module {name}. The lookup only returns a token: use the module where more is to be done.')
        here = os.uname()
        folder = self._loader.get_basedir()
        arguments = {
            **options,
            'dest': file_of_this_run([name, folder, options]),
            'return_token': True,
            '_ansible_inject_invocation': False,
            '_tokensmith_module': self.MODULE,
            '_tokensmith_lookup': True,
        }
        return result_of(executable_for(here.sysname, here.machine), arguments, folder, {})

    def _saved(self, result):
        """A sentence about what nobody else has: a failed run returns a token that it could bring nowhere."""
        tokens = {name: result[name] for name in self.SECRETS if name != self.RETURNS and name in result}
        if not tokens:
            return ''
        # Beside the folder of this run, which is removed.
        descriptor, path = tempfile.mkstemp(prefix='tokensmith-', suffix='.json', dir=os.path.dirname(C.DEFAULT_LOCAL_TMP))
        with os.fdopen(descriptor, 'w', encoding='utf-8') as saved:
            json.dump(tokens, saved)
        return f" ({' and '.join(tokens)} is saved in {path}.)"


def file_of_this_run(asked_for):
    """Where the token lies that was asked for in these words. The folder is the user's alone, the same in all processes, and Ansible removes it at the end."""
    folder = os.path.join(C.DEFAULT_LOCAL_TMP, 'tokensmith')
    os.makedirs(folder, mode=0o700, exist_ok=True)
    # Without a key of this run the name would let a short password be guessed.
    with os.fdopen(os.open(os.path.join(folder, 'key'), os.O_RDWR | os.O_CREAT, 0o600), 'r+b') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        key = file.read()
        if not key:
            key = os.urandom(32)
            file.write(key)
    return os.path.join(folder, hmac.new(key, to_bytes(json.dumps(asked_for, sort_keys=True)), 'sha256').hexdigest())
