# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From a task to its executable: which one, the cheapest way to run it that is right, and what of the result may be shown."""
from __future__ import annotations

import json
import os
import subprocess

from ansible import constants as C
from ansible.module_utils.common.text.converters import to_bytes, to_text
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.tokensmith.redhat.plugins.plugin_utils import kept

COLLECTION = 'tokensmith.redhat'
display = Display()


class NativeModule(ActionBase):
    """A module that is an executable.

    On this machine it is run directly. A target keeps it, and one command runs it there, with the arguments nowhere on a disk. Where that is not certain to be
    right, and with the variable `tokensmith_path: classic`, it is sent with the task, as Ansible sends any binary module.
    """

    MODULE = ''
    SECRETS = ()  # the keys of a result that hold a secret

    _supports_async = True
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        try:
            result.update(self._run(plain(self._task.args), task_vars))
        except Refusal as refusal:
            result.update(failed=True, msg=str(refusal))
        if result.pop('_tokensmith_secret', False):
            # A module may not say this, only its action plugin. What is registered keeps the secret.
            result['_ansible_no_log'] = True
        return result

    def _run(self, arguments, task_vars):
        self._refuse_secret_in_job_file(arguments)
        # Ansible names the executable, not the module, in `_ansible_module_name`.
        arguments['_tokensmith_module'] = self.MODULE
        # Whether it would return a secret from the target's environment, only the executable can tell.
        arguments['_tokensmith_async'] = bool(self._task.async_val)
        if self._is_to_be_quick(task_vars):
            try:
                if C.DEFAULT_KEEP_REMOTE_FILES:
                    raise NotKept('ANSIBLE_KEEP_REMOTE_FILES wants the file of the arguments')
                if self._is_local() and not self._connection.become:
                    found = executable_for(*self._system())
                    if os.access(found, os.X_OK):
                        return self._run_directly(found, arguments, task_vars)
                else:
                    self._insist_on_input()
                    return self._run_kept(arguments, task_vars)
            except NotKept as reason:
                display.vv(f'The executable is sent with the task: {reason}', host=self._play_context.remote_addr)
        return self._run_classically(executable_for(*self._system()), arguments, task_vars)

    def _run_directly(self, executable, arguments, task_vars):
        """On this machine, with the arguments on standard input: one process, without the two shells of a local connection, and no file."""
        self._update_module_args(f'{COLLECTION}.{self.MODULE}', arguments, task_vars)
        environment = {}
        self._compute_environment_string(raw_environment_out=environment)
        display.vvv(f'EXEC {executable} -', host=self._play_context.remote_addr)
        return result_of(executable, arguments, self._loader.get_basedir(), environment)

    def _run_kept(self, arguments, task_vars):
        """On a target that keeps the executable, or takes it in first: one command, with the arguments on standard input."""
        arguments = dict(arguments)
        self._update_module_args(f'{COLLECTION}.{self.MODULE}', arguments, task_vars)
        command = kept.run(self.get_shell_option('remote_tmp', default='~/.ansible/tmp'), self._compute_environment_string())
        for has_been_put in (False, True):
            answer = self._command(command, to_bytes(json.dumps(arguments)))
            word, about, output = kept.said(answer['stdout'])
            if word == 'run' and output.startswith(kept.BEGUN):
                return result_in(output) or without_result(answer['rc'], answer['stderr'])
            if word == 'unsupported':
                system, _blank, machine = about.partition(' ')
                executable_for(system, machine)
            if word == 'lacking':
                self._refuse_without(*about.split())
            if word in ('run', 'absent') and has_been_put:
                raise NotKept(f'a copy that was put there a moment ago cannot be run: {answer["stderr"].strip()}')
            if word not in ('run', 'absent'):
                raise NotKept(about or answer['stderr'].strip() or 'the target has no shell of the usual kind')
            # What printed nothing, or something else, is damaged and has not begun anything.
            self._put(*about.split(' ', 1))

    def _refuse_without(self, name, *programs):
        """A target that has none of these cannot be sent anything, by Ansible neither."""
        lacking = ' and '.join([', '.join(programs[:-1]), programs[-1]] if programs[1:] else programs)
        if not {'chmod', 'mkdir', 'rm'}.intersection(programs):
            raise NotKept(f'the target has no {lacking}')
        raise Refusal(
            f'The target has no {lacking}, which it takes to put the executable there. Install the package coreutils or busybox on it, or give it a copy of '
            f"the collection's plugins/bin/tokensmith_{machine_of(name)} beforehand, as ~/.cache/{COLLECTION}/{name}, with mode 0500 and in folders of the "
            'user that nobody else may write to: then it takes no more than `sh`. Or run the task elsewhere, for example with `delegate_to: localhost`.'
        )

    def _put(self, name, folder):
        with open(executable_for('Linux', machine_of(name)), 'rb') as executable:
            answer = self._command(kept.put(folder, name), executable.read())
        word, about, _output = kept.said(answer['stdout'])
        if word != 'placed':
            raise NotKept(about or answer['stderr'].strip())

    def _command(self, command, data):
        become = self._connection.become
        if self._is_local() and become and become.expect_prompt():
            # Without this a local connection gives become a terminal, which takes no data.
            self._connection.set_option('pipelining', True)
        return self._low_level_execute_command(command, in_data=data, executable=self._play_context.executable)

    def _low_level_execute_command(self, cmd, *positional, **named):
        """As Ansible has it. But what the executable prints may be a token, and at -vvv an ssh connection shows what was printed, unless it is told not to."""
        play_context = self._connection._play_context
        shown = play_context.no_log
        play_context.no_log = shown or 'tokensmith' in cmd
        try:
            return super()._low_level_execute_command(cmd, *positional, **named)
        finally:
            play_context.no_log = shown

    def _run_classically(self, executable, arguments, task_vars):
        """Any connection, become, async: sent by Ansible with a file of arguments, and removed again."""
        name = f'{COLLECTION}.native.{os.path.basename(executable)}'
        result = self._execute_module(module_name=name, module_args=arguments, task_vars=task_vars, wrap_async=self._task.async_val)
        if 'module_stdout' not in result:
            return result
        # There was no result. Ansible would show all that was printed, in which there might be a secret.
        # With a terminal, all that is said comes by standard output.
        return without_result(result.get('rc'), result['module_stdout'].strip() or result.get('module_stderr', ''))

    def _is_to_be_quick(self, task_vars):
        path = self._templar.template(task_vars.get('tokensmith_path', 'auto'))
        if path not in ('auto', 'classic'):
            raise Refusal(f"The variable tokensmith_path is {path!r}, and may be 'auto' or 'classic'.")
        return path == 'auto' and not self._task.async_val

    def _insist_on_input(self):
        """A command on the target is to be given its arguments on standard input."""
        become = self._connection.become
        # ansible-core up to 2.18 knows of `su` alone that it needs a terminal.
        if become and (become.require_tty or not getattr(become, 'pipelining', become.name != 'su')):
            raise NotKept(f'become_method {become.name} hands no input on')
        # The connections of mitogen hand input on, and do not say so.
        is_of_mitogen = type(self._connection).__module__.startswith('ansible_mitogen.')
        if not self._connection.has_pipelining and not is_of_mitogen:
            raise NotKept(f'connections of the kind {self._connection.transport} take no input')
        if getattr(self._connection._shell, 'SHELL_FAMILY', None) != 'sh':
            raise NotKept('the target has no shell of the usual kind')

    def _system(self):
        if self._is_local():
            return os.uname().sysname, os.uname().machine
        answer = self._low_level_execute_command('uname -s -m', sudoable=False)
        words = answer['stdout'].split()[-2:]
        return words if answer['rc'] == 0 and len(words) == 2 else ('unknown', '')

    def _is_local(self):
        return self._connection.transport == 'local'

    def _refuse_secret_in_job_file(self, arguments):
        """Everybody on the target may read what an asynchronous task results in."""
        if not self._task.async_val or not self.SECRETS or arguments.get('state') == 'absent':
            return
        # A command that creates nothing returns nothing.
        if not str(arguments.get('command', 'create')).startswith('create'):
            return
        handed_over = arguments.get('dest') and not boolean(arguments.get('return_token') or False, strict=False)
        # A secret that is given as it is, not as a file, is returned when the server renews it.
        if not handed_over or any(arguments.get(name) for name in self.SECRETS):
            raise Refusal(
                f'With async, the result of {self.MODULE} would lie on the target in a file that everybody there may read, with a secret in it. '
                'Have secrets read from files and handed over to `dest`, without `return_token`, or leave async out.'
            )


def machine_of(name):
    return next(machine for machine, known in kept.names().items() if known == name)


def plain(value):
    """Without what ansible-core up to 2.18 cannot send (inline `!vault`, dates) and without the lazy containers of later ones."""
    if isinstance(value, dict):
        return {to_text(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    return to_text(value)


def executable_for(system, machine):
    """The collection's executable for this system."""
    executable = os.path.join(kept.BIN, f'tokensmith_{machine}')
    if system == 'Linux' and os.path.isfile(executable):
        return executable
    names = os.listdir(kept.BIN) if os.path.isdir(kept.BIN) else []
    carried = sorted(name.partition('_')[2] for name in names if name.startswith('tokensmith_'))
    if not carried:
        raise Refusal(
            f'This installation of {COLLECTION} has no executables: it was made from the source repository. '
            'Install the collection from its tarball, which `make build` leaves in dist/.'
        )
    said = f'{system} {machine}'.strip()
    what_it_is = f'says that it is {said!r}' if said else 'does not say what it is, as it has no uname'
    raise Refusal(
        f"{COLLECTION} runs on Linux on {' and '.join(carried)}, and the target {what_it_is}. "
        'Run the task elsewhere, for example with `delegate_to: localhost`.'
    )


def result_of(executable, arguments, folder, environment):
    """What it results in, run on this machine with the arguments on standard input."""
    try:
        done = subprocess.run(
            [executable, '-'],
            input=to_bytes(json.dumps(arguments)),
            capture_output=True,
            check=False,
            cwd=folder,
            env={**os.environ, **{name: to_text(value) for name, value in environment.items()}},
        )
    except OSError as error:
        return without_result(126, str(error))
    return result_in(done.stdout) or without_result(done.returncode, to_text(done.stderr))


def result_in(output):
    try:
        result = json.loads(output)
    except ValueError:
        return None
    return result if isinstance(result, dict) else None


def without_result(status, printed):
    message = f'The executable ended with status {status} and without a result.'
    # With these it never ran, so what was printed is the shell's.
    if status in (126, 127):
        message = f'The executable could not be run: {printed.strip()}'
        if 'denied' in printed:
            message += ' (If its file system is mounted noexec, name another folder of the target in ansible_remote_tmp.)'
    return {'failed': True, 'msg': message}


class Refusal(Exception):
    """Why the task cannot be run, as a sentence."""


class NotKept(Exception):
    """Why a target does not keep the executable, as a sentence."""
