import pathlib
import zlib

project = 'Tokensmith: tokensmith.redhat'
copyright = 'Tokensmith developers, GPL-3.0-or-later'
extensions = ['myst_parser', 'sphinx_antsibull_ext', 'sphinx.ext.intersphinx']
html_theme = 'sphinx_ansible_theme'
# Without what the theme has for docs.ansible.com: advertising, and a bar of links.
html_theme_options = {'documentation_home_url': 'index.html', 'topbar_links': {}, 'show_extranav': False, 'show_rtd_ethical_ads': False}
html_title = project
html_show_sphinx = False
html_copy_source = False
html_use_smartypants = False
# Headings are linked to as they are in the repository.
myst_heading_anchors = 3
# Of what is highlighted, output of programs need not be well-formed.
suppress_warnings = ['misc.highlighting_failure']

# What pages of modules refer to in Ansible's own documentation. Its inventory is not fetched, as the build asks no network.
inventory = pathlib.Path(__file__).with_name('ansible.inv')
labels = {
    'action_plugins': 'plugins/action.html',
    'ansible_configuration_settings': 'reference_appendices/config.html',
    'common_return_values': 'reference_appendices/common_return_values.html',
    'lookup_plugins': 'plugins/lookup.html',
}
lines = ''.join(f'{label} std:label -1 {page}#{label.replace("_", "-")} -\n' for label, page in labels.items())
head = '# Sphinx inventory version 2\n# Project: Ansible\n# Version: \n# The remainder of this file is compressed using zlib.\n'
inventory.write_bytes(head.encode() + zlib.compress(lines.encode()))
intersphinx_mapping = {'ansible': ('https://docs.ansible.com/ansible/latest/', str(inventory))}
